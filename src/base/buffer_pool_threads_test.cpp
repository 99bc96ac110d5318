#include <ferry/buffer_pool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

namespace ferry {
namespace {

constexpr std::size_t k_threads = 4;
constexpr std::size_t k_rounds = 20'000;

buffer_pool_options tiny() {
  buffer_pool_options options;
  options.min_buffer = options.page_size = 64;
  options.max_buffer = 256;
  options.growth = 2;
  return options;
}

bool filled_with(const pooled_buffer& buffer, std::byte mark) {
  for (std::size_t i = 0; i < buffer.capacity(); ++i)
    if (buffer.data()[i] != mark) return false;
  return true;
}

TEST(buffer_pool_threads, no_buffer_is_ever_lent_twice_at_once) {
  buffer_pool pool(tiny());
  std::atomic<std::size_t> spoiled{0};
  {
    std::vector<std::jthread> workers;
    for (std::size_t id = 1; id <= k_threads; ++id)
      workers.emplace_back([&, id] {
        const auto mark = static_cast<std::byte>(id);
        for (std::size_t round = 0; round < k_rounds; ++round) {
          pooled_buffer mine[3];
          for (std::size_t i = 0; i < 3; ++i) {
            mine[i] = pool.acquire(std::size_t{64} << ((round + i) % 3));
            std::memset(mine[i].data(), static_cast<int>(id), mine[i].capacity());
          }
          for (const auto& buffer : mine)
            if (!filled_with(buffer, mark)) spoiled.fetch_add(1);
        }
      });
  }
  const auto stats = pool.stats();
  EXPECT_EQ(spoiled.load(), 0u);
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_EQ(stats.hits + stats.misses, k_threads * k_rounds * 3);
  EXPECT_LE(stats.misses, k_threads * 3 * 3) << "what comes back is lent again";
}

TEST(buffer_pool_threads, never_lends_more_than_the_limit) {
  auto options = tiny();
  options.max_bytes = 1024;
  buffer_pool pool(options);
  std::atomic<std::size_t> lent{0};
  std::atomic<std::size_t> most{0};
  std::atomic<std::size_t> refused{0};
  {
    std::vector<std::jthread> workers;
    for (std::size_t id = 0; id < k_threads; ++id)
      workers.emplace_back([&, id] {
        for (std::size_t round = 0; round < k_rounds; ++round) {
          pooled_buffer mine[4];
          for (std::size_t i = 0; i < 4; ++i) {
            mine[i] = pool.acquire(std::size_t{64} << ((round + id + i) % 3));
            if (!mine[i]) refused.fetch_add(1);
            const auto now = lent.fetch_add(mine[i].capacity()) + mine[i].capacity();
            for (auto seen = most.load(); now > seen && !most.compare_exchange_weak(seen, now);) {
            }
          }
          for (auto& buffer : mine) {
            lent.fetch_sub(buffer.capacity());
            buffer.reset();
          }
        }
      });
  }
  const auto stats = pool.stats();
  EXPECT_LE(most.load(), 1024u);
  EXPECT_EQ(stats.refused, refused.load());
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_LE(stats.bytes_kept, 1024u);
  EXPECT_EQ(stats.hits + stats.misses + stats.refused, k_threads * k_rounds * 4);
}

TEST(buffer_pool_threads, buffers_may_come_back_while_the_pool_ends) {
  for (int round = 0; round < 200; ++round) {
    std::optional<buffer_pool> pool(std::in_place, tiny());
    std::vector<std::vector<pooled_buffer>> lots(k_threads);
    for (auto& lot : lots)
      for (int i = 0; i < 20; ++i) lot.push_back(pool->acquire(i % 2 == 0 ? 64 : 1000));
    std::atomic<std::size_t> ready{0};
    std::vector<std::jthread> workers;
    for (auto& lot : lots)
      workers.emplace_back([&ready, mine = std::move(lot)]() mutable {
        ready.fetch_add(1);
        mine.clear();
      });
    while (ready.load() == 0) std::this_thread::yield();
    pool.reset();
  }
}

}  // namespace
}  // namespace ferry
