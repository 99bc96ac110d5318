// What the two ends of a native ring do when memory says what it must not say. What they do otherwise:
// ring_contract_test.cpp.
#include <ferry/detail/ring_core.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace {

using namespace ferry;

constexpr std::size_t k_ring = 4096;
constexpr std::uint64_t k_words = k_ring / 8;

/// Memory of exactly a ring's size, so that AddressSanitizer sees a step outside; the other end is hostile.
class memory {
 public:
  explicit memory(std::size_t size = k_ring) : words_(new std::uint64_t[size / 8]{}), size_(size) {}
  [[nodiscard]] std::span<std::byte> data() { return {reinterpret_cast<std::byte*>(words_.get()), size_}; }
  [[nodiscard]] std::uint64_t& at(std::uint64_t position) { return words_[position % size_ / 8]; }
  [[nodiscard]] std::vector<std::uint64_t> copy() const { return {words_.get(), words_.get() + size_ / 8}; }
  void assign(const std::vector<std::uint64_t>& words) { std::copy(words.begin(), words.end(), words_.get()); }

  ring_line line;

 private:
  std::unique_ptr<std::uint64_t[]> words_;
  std::size_t size_;
};

std::vector<std::byte> body_of(std::size_t size) { return std::vector<std::byte>(size, static_cast<std::byte>(size)); }

std::uint64_t word_of(std::uint64_t sequence, std::uint64_t size, std::uint64_t more = 0) {
  return ring_word::k_present | more | ((sequence & ring_word::k_sequence_mask) << ring_word::k_sequence_shift) | size;
}

/// Where each record's word lies in a ring that was filled with records of many sizes.
struct filled_ring : memory {
  filled_ring() {
    ring_producer producer(data(), line);
    for (std::size_t i = 0;; ++i) {
      const auto at = producer.tail();
      if (!producer.try_push(body_of(i * 37 % 200))) break;
      starts.push_back(at);
      tail = producer.tail();
    }
  }
  std::vector<std::uint64_t> starts;
  std::uint64_t tail = 0;
};

struct outcome {
  std::size_t records = 0;
  bool corrupt = false;
  bool ended = false;
};

/// Reads until there is nothing, and touches every byte of every body.
outcome drain(memory& ring, std::uint64_t position = 0, std::uint64_t sequence = 0) {
  ring_consumer consumer(ring.data(), ring.line, position, sequence);
  outcome seen;
  unsigned sum = 0;
  while (const auto record = consumer.front()) {
    EXPECT_LE(record.size, ring_geometry::max_body(ring.data().size()));
    EXPECT_GE(record.data, ring.data().data() + 8);
    EXPECT_LE(record.data + record.size, ring.data().data() + ring.data().size());
    for (const auto byte : record.body()) sum += std::to_integer<unsigned>(byte);
    consumer.pop();
    if (++seen.records > 2 * k_words) break;  // more than twice round: it would never end
  }
  EXPECT_LE(seen.records, 2 * k_words) << sum;
  seen.corrupt = consumer.corrupt();
  seen.ended = consumer.ended();
  EXPECT_FALSE(seen.corrupt && seen.ended);
  EXPECT_FALSE(consumer.front()) << "nothing, for good";
  return seen;
}

std::vector<std::uint64_t> hostile_values(std::uint64_t good) {
  std::vector<std::uint64_t> values{0,
                                    ~std::uint64_t{0},
                                    ring_word::k_pad_word,
                                    ring_word::k_end_word,
                                    good + 1,
                                    good - 1,
                                    good + 8,
                                    good | ring_word::k_length_mask,
                                    good | (ring_geometry::max_body(k_ring) + 1),
                                    good + (std::uint64_t{1} << ring_word::k_sequence_shift),
                                    (good & ~ring_word::k_length_mask) | ring_word::k_tagged | 7};
  for (int bit = 0; bit < 64; ++bit) values.push_back(good ^ (std::uint64_t{1} << bit));
  return values;
}

TEST(ring_consumer, never_leaves_the_ring_nor_reads_for_ever_whatever_any_word_says) {
  filled_ring ring;
  const auto good = ring.copy();
  for (std::uint64_t at = 0; at < k_ring; at += 8)
    for (const auto value : hostile_values(good[at / 8])) {
      ring.assign(good);
      ring.at(at) = value;
      drain(ring);
      ASSERT_FALSE(HasFailure()) << std::hex << value << " at " << at;
    }
}

TEST(ring_consumer, never_leaves_the_ring_when_every_word_says_the_same) {
  memory ring;
  for (const auto value : hostile_values(word_of(0, 24)))
    for (std::uint64_t position = 0; position < k_ring; position += 8) {
      ring.assign(std::vector<std::uint64_t>(k_words, value));
      drain(ring, position);
      ASSERT_FALSE(HasFailure()) << std::hex << value << " from " << position;
    }
}

TEST(ring_consumer, reads_up_to_the_record_that_breaks_a_rule) {
  filled_ring ring;
  const auto good = ring.copy();
  ASSERT_GT(ring.starts.size(), 20u);
  for (std::size_t i = 0; i < ring.starts.size(); ++i) {
    const auto at = ring.starts[i];
    const auto size = good[at / 8] & ring_word::k_length_mask;
    const auto room = k_ring - at;
    std::vector<std::uint64_t> broken{
        word_of(i + 1, size),                                    // another number
        word_of(i - 1, size),                                    //
        word_of(i ^ (1u << 28), size),                           //
        word_of(i, size, ring_word::k_reserved),                 //
        (word_of(i, size) & ~ring_word::k_present) | 1,          //
        word_of(i, size) | ring_word::k_pad,                     //
        word_of(i, ring_geometry::max_body(k_ring) + 1),         // more than the largest
        word_of(i, ring_word::k_length_mask),                    //
        word_of(i, ring_word::k_length_mask - 14),               // its record would be 0 bytes long, if that wrapped
        word_of(i, 7, ring_word::k_tagged),                      // no room for the tag
        word_of(i, 0, ring_word::k_tagged | ring_word::k_more),  //
        ring_word::k_pad_word | 1,                               // neither pad nor record
        ring_word::k_end_word | 1,                               // neither end nor record
        ring_word::k_end_word & ~ring_word::k_present,           //
    };
    constexpr auto k_largest = ring_geometry::record_bytes(ring_geometry::max_body(k_ring));
    if (at + k_largest <= k_ring) broken.push_back(ring_word::k_pad_word);  // it would have room
    if (room < 1000) broken.push_back(word_of(i, room - 7));                // over the end by one
    for (const auto word : broken) {
      ring.assign(good);
      ring.at(at) = word;
      const auto seen = drain(ring);
      ASSERT_TRUE(seen.corrupt) << std::hex << word << " at " << at;
      ASSERT_EQ(seen.records, i) << std::hex << word;
    }
  }
}

TEST(ring_consumer, takes_a_record_that_just_keeps_the_rules) {
  memory ring;
  for (const auto& [position, word] : {
           std::pair{std::uint64_t{0}, word_of(0, ring_geometry::max_body(k_ring))},
           {k_ring - 8, word_of(0, 0)},
           {k_ring - 64, word_of(0, 56)},
           {0, word_of(0, 8, ring_word::k_tagged)},
           {0, word_of(0, 8, ring_word::k_tagged | ring_word::k_more | ring_word::k_text)},
       }) {
    ring.at(position) = word;
    ring_consumer consumer(ring.data(), ring.line, position);
    const auto record = consumer.front();
    ASSERT_TRUE(record) << std::hex << word;
    EXPECT_EQ(record.size, word & ring_word::k_length_mask);
    EXPECT_EQ(has(record.marks, ring_marks::tagged), (word & ring_word::k_tagged) != 0);
    EXPECT_EQ(has(record.marks, ring_marks::more), (word & ring_word::k_more) != 0);
    EXPECT_EQ(has(record.marks, ring_marks::text), (word & ring_word::k_text) != 0);
  }
}

TEST(ring_consumer, stays_corrupt_and_stays_ended_whatever_comes_later) {
  for (const auto last : {ring_word::k_end_word, word_of(7, 0)}) {
    memory ring;
    ring.at(0) = last;
    ring_consumer consumer(ring.data(), ring.line);
    EXPECT_FALSE(consumer.front());
    const bool ended = consumer.ended();
    EXPECT_EQ(ended, last == ring_word::k_end_word);
    EXPECT_EQ(consumer.corrupt(), !ended);
    for (const auto later : hostile_values(word_of(0, 0))) {
      ring.at(0) = later;
      EXPECT_FALSE(consumer.front()) << std::hex << later;
    }
    ring.at(0) = word_of(0, 0);
    EXPECT_FALSE(consumer.front());
    EXPECT_EQ(consumer.ended(), ended);
    EXPECT_EQ(consumer.corrupt(), !ended);
  }
}

TEST(ring_consumer, believes_the_word_that_it_read_last) {
  memory ring;
  ring.at(0) = word_of(0, 100);
  ring_consumer consumer(ring.data(), ring.line);
  EXPECT_EQ(consumer.front().size, 100u);
  ring.at(0) = word_of(0, 16);
  EXPECT_EQ(consumer.front().size, 16u);
  consumer.pop();
  EXPECT_EQ(consumer.position(), 24u);
}

TEST(ring_consumer, tells_something_from_nothing_without_taking_notice) {
  memory ring;
  ring_consumer consumer(ring.data(), ring.line);
  EXPECT_FALSE(consumer.something());
  consumer.pause();
  ring.at(0) = 1;
  EXPECT_TRUE(consumer.something());
  EXPECT_FALSE(consumer.corrupt());
  EXPECT_FALSE(consumer.front());
  EXPECT_TRUE(consumer.corrupt());
}

TEST(ring_consumer, wakes_the_producer_once_and_only_for_as_much_as_it_waits_for) {
  memory ring;
  ring_producer producer(ring.data(), ring.line);
  ring_consumer consumer(ring.data(), ring.line);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(producer.try_push(body_of(24)));
  EXPECT_FALSE(consumer.published_lately());
  EXPECT_FALSE(consumer.take_producer_waits()) << "it does not wait at all";
  ring.line.wake_at = 64;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(consumer.front());
    consumer.pop();
    consumer.publish_position();
    EXPECT_TRUE(consumer.published_lately());
    EXPECT_EQ(consumer.take_producer_waits(), i == 1) << i;
    EXPECT_FALSE(consumer.published_lately());
  }
  EXPECT_EQ(ring.line.wake_at, 0u);
}

// ---- the producer ---------------------------------------------------------------------

/// Fills a ring, reads `read` records of it, and publishes that; then the position becomes `position`.
struct full_producer : memory {
  full_producer() : producer(data(), line, k_ring, 5), consumer(data(), line, k_ring, 5) {
    line.position = k_ring;
    producer = ring_producer(data(), line, k_ring, 5);
    while (producer.try_push(body_of(56))) {
    }
    for (int i = 0; i < 10 && consumer.front(); ++i) consumer.pop();
    consumer.publish_position();
    for (const std::size_t size : {56, 0})
      while (producer.try_push(body_of(size))) {
      }
  }
  ring_producer producer;
  ring_consumer consumer;
};

TEST(ring_producer, writes_nothing_once_the_position_is_impossible) {
  const full_producer reference;
  const auto seen = reference.line.position.load();
  const auto tail = reference.producer.tail();
  for (const std::uint64_t position :
       {std::uint64_t{0}, seen - 1, seen - 8, seen - k_ring, seen + 1, seen + 4, tail + 1, tail + 8, tail + k_ring,
        std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
    full_producer ring;
    const auto before = ring.copy();
    EXPECT_FALSE(ring.producer.corrupt());
    ring.line.position = position;
    for (const std::size_t size : {0, 8, 56, 1000}) EXPECT_EQ(ring.producer.reserve(size), nullptr) << position;
    EXPECT_TRUE(ring.producer.corrupt()) << position;
    EXPECT_LE(ring.producer.used(), k_ring);
    EXPECT_FALSE(ring.producer.try_push(body_of(8)));
    ring.line.position = tail;
    EXPECT_EQ(ring.producer.reserve(0), nullptr) << "corrupt for good";
    EXPECT_EQ(ring.copy(), before);
  }
}

TEST(ring_producer, believes_every_position_between_the_last_one_and_its_own) {
  const full_producer reference;
  const auto seen = reference.line.position.load();
  const auto room = k_ring - 8 - (reference.producer.tail() - seen);
  for (auto position = seen; position <= reference.producer.tail(); position += 8) {
    full_producer ring;
    ring.line.position = position;
    EXPECT_EQ(ring.producer.used(), ring.producer.tail() - position);
    EXPECT_EQ(ring.producer.try_push({}), position - seen + room >= 8)
        << position - seen << " freed, " << room << " left";
    EXPECT_FALSE(ring.producer.corrupt());
  }
}

TEST(ring_producer, refuses_an_impossible_position_from_the_start) {
  memory ring;
  for (const auto& [position, tail, good] : {std::tuple<std::uint64_t, std::uint64_t, bool>{0, 0, true},
                                             {8, 0, false},
                                             {0, k_ring - 8, true},
                                             {0, k_ring, true},
                                             {0, k_ring + 8, false},
                                             {3, 80, false},
                                             {~std::uint64_t{7}, 80, false},
                                             {4000, 8000, true}}) {
    ring.line.position = position;
    ring_producer producer(ring.data(), ring.line, tail, 0);
    EXPECT_EQ(producer.corrupt(), !good) << position << " with the end at " << tail;
    if (!good) {
      EXPECT_EQ(producer.reserve(0), nullptr);
      EXPECT_EQ(producer.used(), 0u);
    }
  }
}

TEST(ring_producer, can_say_that_it_is_over_in_a_full_ring_and_counts_down_what_is_unread) {
  full_producer ring;
  ring.producer.end();
  EXPECT_TRUE(ring.producer.ended());
  EXPECT_GT(ring.producer.used(), k_ring / 2);
  while (ring.consumer.front()) ring.consumer.pop();
  EXPECT_TRUE(ring.consumer.ended());
  EXPECT_EQ(ring.producer.used(), 0u);
  EXPECT_EQ(ring.producer.reserve(0), nullptr);
  EXPECT_FALSE(ring.producer.corrupt());
}

TEST(ring_ends, without_memory_there_is_no_room_no_record_and_no_end) {
  ring_producer producer;
  EXPECT_EQ(producer.reserve(0), nullptr);
  EXPECT_EQ(producer.used(), 0u);
  producer.end();
  EXPECT_FALSE(producer.corrupt());
  ring_consumer consumer;
  EXPECT_FALSE(consumer.something());
  EXPECT_FALSE(consumer.front());
  consumer.publish_position();
  EXPECT_FALSE(consumer.ended() || consumer.corrupt());
}

TEST(ring_ends, carry_the_marks_of_a_record) {
  memory ring;
  ring_producer producer(ring.data(), ring.line);
  ring_consumer consumer(ring.data(), ring.line);
  ASSERT_TRUE(producer.try_push(body_of(8), ring_marks::tagged | ring_marks::more));
  ASSERT_TRUE(producer.try_push(body_of(3), ring_marks::text));
  const auto first = consumer.front();
  EXPECT_TRUE(has(first.marks, ring_marks::tagged) && has(first.marks, ring_marks::more));
  EXPECT_FALSE(has(first.marks, ring_marks::text));
  consumer.pop();
  EXPECT_EQ(consumer.front().marks, ring_marks::text);
}

}  // namespace
