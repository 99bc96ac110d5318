// Both ends of a ring on two threads over one memory: the shipped code, as two processes run it.
#include <ferry/detail/ring_core.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

using namespace ferry;

struct memory {
  explicit memory(std::size_t bytes_now) : words(new std::uint64_t[bytes_now / 8]{}), size(bytes_now) {}
  [[nodiscard]] std::span<std::byte> data() { return {reinterpret_cast<std::byte*>(words.get()), size}; }
  std::unique_ptr<std::uint64_t[]> words;
  std::size_t size;
  ring_line line;
};

std::uint32_t checksum(bytes body) {
  std::uint32_t sum = 2166136261u;
  for (const auto byte : body) sum = (sum ^ std::to_integer<std::uint32_t>(byte)) * 16777619u;
  return sum;
}

/// Sizes as both sides know them: mostly small, sometimes as large as can be.
class sizes {
 public:
  explicit sizes(std::size_t max) : max_(max) {}
  std::size_t next() {
    const auto r = random_();
    return r % 16 == 0 ? r / 16 % (max_ + 1) : r / 16 % 65;
  }

 private:
  std::mt19937 random_{7};
  std::size_t max_;
};

/// A body of its number, noise, and their checksum, as far as there is room for them.
void fill(std::span<std::byte> body, std::uint32_t n) {
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<std::byte>(n * 17 + i * 3);
  if (body.size() < 4) return;
  const auto sum = checksum(body.first(body.size() - 4));
  std::memcpy(body.data() + body.size() - 4, &sum, 4);
}
bool intact(bytes body, std::uint32_t n) {
  const auto filled = body.size() < 4 ? body : body.first(body.size() - 4);
  for (std::size_t i = 0; i < filled.size(); ++i)
    if (filled[i] != static_cast<std::byte>(n * 17 + i * 3)) return false;
  if (body.size() < 4) return true;
  std::uint32_t sum;
  std::memcpy(&sum, body.data() + filled.size(), 4);
  return sum == checksum(filled);
}

void exchange(std::size_t ring_bytes, std::uint32_t messages) {
  memory ring(ring_bytes);
  std::thread writer([&] {
    ring_producer producer(ring.data(), ring.line);
    sizes size(producer.max_body());
    for (std::uint32_t n = 0; n < messages; ++n) {
      const auto bytes_now = size.next();
      std::byte* to;
      while ((to = producer.reserve(bytes_now)) == nullptr) {
        ASSERT_FALSE(producer.corrupt());
        std::this_thread::yield();
      }
      fill({to, bytes_now}, n);
      producer.publish(bytes_now);
    }
    producer.end();
  });
  ring_consumer consumer(ring.data(), ring.line);
  sizes size(consumer.max_body());
  std::uint32_t n = 0;
  std::uint32_t damaged = 0;
  while (!consumer.ended() && !consumer.corrupt()) {
    const auto record = consumer.front();
    if (!record) {
      std::this_thread::yield();
      continue;
    }
    damaged += record.size != size.next() || !intact(record.body(), n);
    consumer.pop();
    ++n;
  }
  writer.join();
  EXPECT_FALSE(consumer.corrupt());
  EXPECT_EQ(n, messages);
  EXPECT_EQ(damaged, 0u);
}

TEST(ring_threads, exchange_every_message_whole_and_in_order_through_the_smallest_ring) { exchange(4096, 100'000); }

TEST(ring_threads, exchange_every_message_whole_and_in_order_through_a_larger_ring) { exchange(1 << 16, 50'000); }

// One message under way at a time: every word is looked at before it is written.
TEST(ring_threads, answer_each_other) {
  memory there(4096), back(4096);
  constexpr std::uint32_t k_trips = 30'000;
  const auto wait_for = [](ring_consumer& in) {
    ring_record record;
    while (!(record = in.front())) {
      in.pause();
      std::this_thread::yield();
    }
    return record;
  };
  std::thread answerer([&] {
    ring_consumer in(there.data(), there.line);
    ring_producer out(back.data(), back.line);
    for (std::uint32_t n = 0; n < k_trips; ++n) {
      const auto question = wait_for(in);
      ASSERT_TRUE(out.try_push(question.body()));
      in.pop();
    }
  });
  ring_producer out(there.data(), there.line);
  ring_consumer in(back.data(), back.line);
  std::vector<std::byte> body(64);
  for (std::uint32_t n = 0; n < k_trips; ++n) {
    fill(body, n);
    ASSERT_TRUE(out.try_push(body));
    const auto answer = wait_for(in);
    ASSERT_TRUE(answer.size == 64 && intact(answer.body(), n));
    in.pop();
  }
  answerer.join();
}

// What an inspector does: it may find that things moved under its hands, but never more than a ring can hold. All
// records are of one size here, so that what it takes for a word, an atomic, never lies within somebody's body.
TEST(ring_threads, can_be_scanned_while_they_work) {
  memory ring(4096);
  std::atomic<bool> over{false};
  std::thread both([&] {
    ring_producer producer(ring.data(), ring.line);
    ring_consumer consumer(ring.data(), ring.line);
    const std::uint64_t body[3]{1, 2, 3};
    for (std::uint32_t n = 0; n < 30'000; ++n) {
      ASSERT_TRUE(producer.try_push(std::as_bytes(std::span(body))));
      if (n < 20) continue;
      ASSERT_TRUE(consumer.front());
      consumer.pop();
    }
    over = true;
  });
  while (!over) {
    const auto found = ring_scan(ring.data(), ring.line);
    if (found) {
      EXPECT_LE(found->records, 4096u / 8);
    }
  }
  both.join();
}

}  // namespace
