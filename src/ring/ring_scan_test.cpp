#include <ferry/detail/ring_core.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace {

using namespace ferry;

constexpr std::size_t k_ring = 4096;

/// A ring of exactly its size with both of its ends, from `start` on.
struct scanned_ring {
  explicit scanned_ring(std::uint64_t start = 0, std::uint64_t sequence = 0)
      : words(new std::uint64_t[k_ring / 8]{}), data(reinterpret_cast<std::byte*>(words.get()), k_ring) {
    line.position = start;
    line.sequence = sequence;
    producer = ring_producer(data, line, start, sequence);
    consumer = ring_consumer(data, line, start, sequence);
  }
  void push(int records, std::size_t size) {
    const std::vector<std::byte> body(size, std::byte{0x33});
    for (int i = 0; i < records; ++i) ASSERT_TRUE(producer.try_push(body));
  }
  void pop(int records) {
    for (int i = 0; i < records; ++i) {
      ASSERT_TRUE(consumer.front());
      consumer.pop();
    }
  }
  [[nodiscard]] std::optional<ring_contents> scan() const { return ring_scan(data, line); }
  [[nodiscard]] std::vector<std::uint64_t> copy() const { return {words.get(), words.get() + k_ring / 8}; }

  std::unique_ptr<std::uint64_t[]> words;
  std::span<std::byte> data;
  ring_line line;
  ring_producer producer;
  ring_consumer consumer;
};

TEST(ring_scan, finds_nothing_in_a_fresh_ring) {
  const scanned_ring ring;
  const auto found = ring.scan();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tail, 0u);
  EXPECT_EQ(found->records, 0u);
  EXPECT_FALSE(found->ended);
}

TEST(ring_scan, finds_where_the_producer_was_from_every_offset) {
  for (std::uint64_t offset = 0; offset < k_ring; offset += 8) {
    scanned_ring ring(3 * k_ring + offset, (1u << 29) - 20);
    ring.push(30, 100);
    ring.pop(7);
    ring.consumer.publish_position();
    const auto before = ring.copy();
    const auto found = ring.scan();
    ASSERT_TRUE(found) << offset;
    EXPECT_EQ(found->tail, ring.producer.tail());
    EXPECT_EQ(found->sequence, ring.producer.sequence());
    EXPECT_EQ(found->records, 23u);
    EXPECT_EQ(found->body_bytes, 2300u);
    EXPECT_EQ(ring.copy(), before) << "it only looks";
    EXPECT_EQ(ring.line.position, ring.consumer.position());
  }
}

TEST(ring_scan, counts_from_the_position_that_was_published) {
  scanned_ring ring;
  ring.push(10, 8);
  ring.pop(4);
  EXPECT_EQ(ring.scan()->records, 10u) << "four are read, but nobody was told";
  ring.consumer.publish_position();
  EXPECT_EQ(ring.scan()->records, 6u);
}

TEST(ring_scan, sees_the_end) {
  scanned_ring ring;
  ring.push(3, 20);
  EXPECT_FALSE(ring.scan()->ended);
  ring.producer.end();
  const auto found = ring.scan();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->ended);
  EXPECT_EQ(found->records, 3u);
}

TEST(ring_scan, sees_through_a_full_ring) {
  scanned_ring ring(k_ring - 40, 0);
  int records = 0;
  while (ring.producer.try_push({})) ++records;
  const auto found = ring.scan();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records, static_cast<std::uint64_t>(records));
  EXPECT_EQ(found->tail, ring.producer.tail());
}

// The sequence is stored before the position.
TEST(ring_scan, numbers_rightly_what_a_consumer_left_that_died_between_its_two_stores) {
  for (const std::uint64_t start : {0ull, (1ull << 29) - 5, (1ull << 32) - 5, (1ull << 40) + 1}) {
    scanned_ring ring(k_ring - 80, start);
    ring.push(20, 24);
    ring.pop(12);
    ring.line.sequence = ring.consumer.sequence();
    const auto found = ring.scan();
    ASSERT_TRUE(found) << start;
    EXPECT_EQ(found->records, 20u);
    EXPECT_EQ(found->sequence, start + 20);
    EXPECT_EQ(found->tail, ring.producer.tail());
  }
}

TEST(ring_scan, refuses_records_whose_numbers_cannot_follow_the_consumers) {
  scanned_ring ring;
  ring.push(3, 8);
  ring.line.sequence = k_ring;
  EXPECT_FALSE(ring.scan()) << "more were read than a ring has room for";
  ring.line.sequence = (1u << 29) - 1;
  EXPECT_FALSE(ring.scan());
  ring.words[0] += std::uint64_t{5} << ring_word::k_sequence_shift;
  ring.line.sequence = 4;
  EXPECT_FALSE(ring.scan()) << "the sequence is never behind the position";
}

TEST(ring_scan, refuses_a_position_or_a_size_that_cannot_be) {
  scanned_ring ring;
  ring.push(3, 8);
  for (const std::uint64_t position : {1, 4, 7, 4095}) {
    ring.line.position = position;
    EXPECT_FALSE(ring.scan()) << position;
  }
  ring.line.position = 0;
  EXPECT_FALSE(ring_scan(ring.data.first(2048), ring.line)) << "less than the smallest ring";
  EXPECT_FALSE(ring_scan(ring.data.first(4088), ring.line)) << "no power of two";
  EXPECT_FALSE(ring_scan({}, ring.line));
}

TEST(ring_scan, finds_at_most_what_a_ring_can_hold_whatever_any_word_says) {
  scanned_ring ring(k_ring - 400, 9);
  const std::vector<std::byte> body(40, std::byte{0x33});
  while (ring.producer.try_push(body)) {
  }
  const auto good = ring.copy();
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int bit = -2; bit < 64; ++bit) {
      std::copy(good.begin(), good.end(), ring.words.get());
      ring.words[i] = bit == -2 ? 0 : bit == -1 ? ~std::uint64_t{0} : good[i] ^ (std::uint64_t{1} << bit);
      const auto found = ring.scan();
      refused += !found;
      if (!found) continue;
      EXPECT_LE(found->tail - ring.line.position, k_ring);
      EXPECT_LE(found->records, k_ring / 8);
    }
  EXPECT_GT(refused, 1000);
}

}  // namespace
