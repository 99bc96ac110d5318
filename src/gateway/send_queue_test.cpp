#include "gateway/send_queue.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace ferry::gateway {
namespace {

std::string packet(std::size_t message, char fill) {
  std::string made(codec::gateway::k_header_bytes + message, fill);
  codec::gateway::store_header(reinterpret_cast<std::byte*>(made.data()), 1, message);
  return made;
}

TEST(send_queue, counts_packets_by_their_last_byte_through_any_partial_sends) {
  std::mt19937 chance(3);
  buffer_pool pool;
  send_queue queue;
  std::string all;                // what waits
  std::vector<std::size_t> ends;  // of packets, from the beginning of time
  std::size_t gone = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (chance() % 3 != 0 && all.size() < 5000) {
      std::string fresh;
      const auto count = 1 + chance() % 3;
      const auto before = gone + all.size();
      for (std::size_t one = 0; one < count; ++one) {
        fresh += packet(chance() % 100, static_cast<char>(chance()));
        ends.push_back(before + fresh.size());
      }
      std::size_t already = 0;
      if (queue.empty() && chance() % 2 == 0) {
        already = chance() % fresh.size();
        ASSERT_TRUE(queue.append_rest(pool, as_bytes(fresh), count, already));
      } else {
        ASSERT_TRUE(queue.append(pool, as_bytes(fresh), count));
      }
      all += fresh.substr(already);
      gone += already;
    } else {
      const auto part = chance() % (all.size() + 1);
      queue.sent(part);
      all.erase(0, part);
      gone += part;
    }
    const auto waiting = std::count_if(ends.begin(), ends.end(), [&](auto end) { return end > gone; });
    ASSERT_EQ(queue.packets(), static_cast<std::size_t>(waiting));
    ASSERT_EQ(as_text(queue.waiting()), all);
    if (ends.size() > 1000) std::erase_if(ends, [&](auto end) { return end <= gone; });
  }
}

TEST(send_queue, that_is_empty_holds_no_memory) {
  buffer_pool pool;
  send_queue queue;
  const auto one = packet(100, 'x');
  ASSERT_TRUE(queue.append(pool, as_bytes(one), 1));
  EXPECT_GT(pool.stats().bytes_lent, 0u);
  queue.sent(one.size());
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST(send_queue, says_when_the_pool_gives_nothing_and_keeps_what_it_has) {
  buffer_pool pool({.max_buffer = 1024, .max_bytes = 1024});
  send_queue queue;
  const auto one = packet(100, 'x');
  ASSERT_TRUE(queue.append(pool, as_bytes(one), 1));
  EXPECT_FALSE(queue.append(pool, as_bytes(packet(5000, 'y')), 1));
  EXPECT_EQ(as_text(queue.waiting()), one);
  EXPECT_EQ(queue.packets(), 1u);
}

}  // namespace
}  // namespace ferry::gateway
