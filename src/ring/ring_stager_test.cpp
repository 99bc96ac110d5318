// The two ends that a session uses: a ring like any other where every record is a batch of its own, and the batches.
#include "ring/ring_stager.hpp"

#include <cstring>
#include <memory>
#include <vector>

#include "ring/held_consumer.hpp"
#include "testing/ring_contract.hpp"

namespace {

using namespace ferry;
using namespace ferry::ring;
using namespace ferry::test;

/// Every record is staged, closed and revealed; what was read is given back as soon as its reader may.
class staged_layout {
 public:
  static constexpr std::size_t k_alignment = 8;
  static constexpr std::size_t k_around = 16;
  static constexpr bool k_has_end = false;
  static constexpr std::size_t k_share = 8;
  static std::vector<ring_start> starts() {
    return {{}, {8, (1ull << 29) - 1000}, {(1ull << 63) + k_contract_ring - 56, (1ull << 61) - 5000}};
  }

  staged_layout(std::size_t ring_bytes, ring_start start, std::byte fresh)
      : words_(new std::uint64_t[ring_bytes / 8]),
        data_(reinterpret_cast<std::byte*>(words_.get()), ring_bytes),
        prepared_(prepare(start, fresh)),
        producer_(data_, line_, start.position, start.sequence, start.position, room_by::position) {
    EXPECT_TRUE(consumer_.attach(data_, line_, start.sequence));
  }

  [[nodiscard]] std::size_t max_body() const { return producer_.max_body(); }
  [[nodiscard]] bool accepts(std::size_t size) {
    const auto ring = data_.size();
    const auto record = (size + 8 + 7) / 8 * 8;
    const auto to_end = ring - producer_.tail() % ring;
    const auto pad = record > to_end ? to_end : 0;
    return producer_.tail() - line_.position.load() + pad + record + 8 <= ring;
  }
  std::byte* reserve(std::size_t size) {
    foreseen_ = producer_.end_behind(producer_.tail(), size);
    const bool room = producer_.has_room_up_to(foreseen_);
    std::byte* const to = producer_.reserve(size);
    EXPECT_EQ(room, to != nullptr);
    return to;
  }
  void publish(std::size_t size) {
    producer_.stage(size, ring_marks::none);
    EXPECT_LE(producer_.tail(), foreseen_);
    EXPECT_FALSE(unread_ == 0 && consumer_.something()) << "staged is not visible";
    const auto closed = producer_.close();
    EXPECT_FALSE(unread_ == 0 && consumer_.something()) << "closed is not visible";
    producer_.reveal(closed);
    unread_ += 1;
  }
  bool push(bytes body) {
    std::byte* const to = reserve(body.size());
    if (to == nullptr) return false;
    std::copy(body.begin(), body.end(), to);
    publish(body.size());
    return true;
  }
  void end() {}
  std::optional<bytes> front() {
    const auto record = consumer_.front();
    if (!record) consumer_.publish(consumer_.mark());
    return record ? std::optional(record.body()) : std::nullopt;
  }
  void pop() {
    consumer_.pop();
    consumer_.publish_in_shares(consumer_.mark());
    unread_ -= 1;
  }
  [[nodiscard]] bool ended() const { return false; }
  void publish_position() { consumer_.publish(consumer_.mark()); }
  [[nodiscard]] std::uint64_t published() const { return line_.position.load(); }
  [[nodiscard]] std::uint64_t read() const { return consumer_.mark().position; }
  [[nodiscard]] bool intact() const {
    std::uint64_t word;
    std::memcpy(&word, data_.data() + producer_.tail() % data_.size(), sizeof word);
    return word == 0 && !producer_.corrupt() && !consumer_.corrupt() && line_.position.load() <= producer_.tail() &&
           producer_.tail() - line_.position.load() + 8 <= data_.size();
  }

 private:
  bool prepare(ring_start start, std::byte fresh) {
    std::fill(data_.begin(), data_.end(), fresh);
    std::fill_n(data_.begin() + static_cast<std::ptrdiff_t>(start.position % data_.size()), 8, std::byte{0});
    line_.position = start.position;
    line_.sequence = start.sequence;
    return true;
  }

  std::unique_ptr<std::uint64_t[]> words_;
  std::span<std::byte> data_;
  ring_line line_;
  bool prepared_;
  ring_stager<> producer_;
  held_consumer<> consumer_;
  std::size_t unread_ = 0;
  std::uint64_t foreseen_ = 0;  // where the reserved record ends
};

/// A ring of the smallest size with a plain reader.
struct batches {
  std::vector<std::uint64_t> words = std::vector<std::uint64_t>(k_contract_ring / 8);
  ring_line line;
  ring_stager<> producer;
  ring_consumer consumer;

  explicit batches(std::uint64_t at = 0, room_by rule = room_by::position)
      : producer(data(), line, at, 0, at, rule), consumer(data(), line, at, 0) {
    line.position = at;
  }
  [[nodiscard]] std::span<std::byte> data() { return std::as_writable_bytes(std::span(words)); }
  bool stage(std::size_t size, int value = 1) {
    std::byte* const to = producer.reserve(size);
    if (to == nullptr) return false;
    std::fill_n(to, size, static_cast<std::byte>(value));
    producer.stage(size, ring_marks::none);
    return true;
  }
  std::size_t read() {
    std::size_t records = 0;
    for (; consumer.front(); ++records) consumer.pop();
    EXPECT_FALSE(consumer.corrupt());
    return records;
  }
};

TEST(ring_stager, shows_all_records_of_a_batch_at_once_wherever_it_lies) {
  for (std::uint64_t at = 0; at < k_contract_ring; at += 8) {
    batches ring(at);
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(ring.stage(static_cast<std::size_t>(i) * 90));
      ASSERT_EQ(ring.read(), 0u);
    }
    const auto closed = ring.producer.close();
    ASSERT_EQ(ring.read(), 0u);
    ring.producer.reveal(closed);
    ASSERT_EQ(ring.read(), 5u) << "at " << at;
  }
}

TEST(ring_stager, leaves_nothing_of_a_batch_that_was_given_up) {
  for (std::uint64_t at = 0; at < k_contract_ring; at += 8) {
    batches ring(at);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(ring.stage(500));
    ring.producer.abandon();
    EXPECT_TRUE(ring.producer.close().empty());
    ASSERT_TRUE(ring.stage(8, 7));
    ring.producer.reveal(ring.producer.close());
    ASSERT_EQ(ring.consumer.front().size, 8u);
    EXPECT_EQ(ring.consumer.front().data[0], std::byte{7});
    ASSERT_EQ(ring.read(), 1u) << "at " << at;
  }
}

TEST(ring_stager, joins_batches_that_wait_behind_one_withheld_word) {
  batches ring;
  ring_batch waiting;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring.stage(30));
    ASSERT_TRUE(ring.stage(0));
    ring.producer.join(waiting, ring.producer.close());
    ring.producer.join(waiting, ring.producer.close());
  }
  ASSERT_TRUE(ring.stage(8)) << "the next one is open already";
  EXPECT_EQ(ring.read(), 0u);
  EXPECT_EQ(waiting.sequence, 8u);
  ring.producer.reveal(waiting);
  EXPECT_EQ(ring.read(), 8u);
  ring.producer.reveal(ring.producer.close());
  EXPECT_EQ(ring.read(), 1u);
}

TEST(ring_stager, believes_no_position_beyond_what_it_has_shown) {
  for (const std::uint64_t lie : {std::uint64_t{4}, std::uint64_t{48}, std::uint64_t{4096}, ~std::uint64_t{7}}) {
    batches ring;
    ASSERT_TRUE(ring.stage(8));
    ring.producer.reveal(ring.producer.close());
    ASSERT_TRUE(ring.stage(8));
    ring.line.position = lie;
    EXPECT_EQ(ring.producer.look(), 0u);
    EXPECT_TRUE(ring.producer.corrupt()) << lie;
    EXPECT_EQ(ring.producer.reserve(8), nullptr);
  }
}

TEST(ring_stager, reuses_room_only_when_granted_if_so_told) {
  batches ring(0, room_by::grant);
  while (ring.stage(1000)) {
  }
  ring.producer.reveal(ring.producer.close());
  EXPECT_EQ(ring.read(), 4u);
  EXPECT_FALSE(ring.stage(1000));
  EXPECT_EQ(ring.producer.seen(), 4032u);
  ring.producer.grant(1008);
  EXPECT_TRUE(ring.stage(900));
  EXPECT_FALSE(ring.stage(1000));
}

TEST(held_consumer, publishes_no_more_than_it_is_let_and_reads_again_what_was_not_meant) {
  batches ring;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ring.stage(300));
  ring.producer.reveal(ring.producer.close());
  held_consumer<> reader;
  ASSERT_TRUE(reader.attach(ring.data(), ring.line, 0));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader.front());
    reader.pop();
  }
  const auto upto = reader.mark();
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(reader.front());
    reader.pop();
  }
  EXPECT_FALSE(reader.front());
  EXPECT_EQ(ring.line.position, 0u);
  reader.publish(upto);
  EXPECT_EQ(ring.line.position, upto.position);
  EXPECT_EQ(ring.line.sequence, 3u);
  reader.go_back(upto);
  std::size_t again = 0;
  for (; reader.front(); ++again) reader.pop();
  EXPECT_EQ(again, 7u);
}

TEST(held_consumer, skips_what_was_read_before_and_refuses_a_number_that_cannot_come_next) {
  batches ring;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ring.stage(20));
  ring.producer.reveal(ring.producer.close());
  for (std::uint64_t next = 0; next <= 10; ++next) {
    ring.line.position = 0;
    held_consumer<> reader;
    ASSERT_TRUE(reader.attach(ring.data(), ring.line, next));
    EXPECT_EQ(ring.line.position, next * 32);
    EXPECT_EQ(reader.front().data != nullptr, next < 10);
  }
  for (const std::uint64_t wrong :
       {std::uint64_t{11}, std::uint64_t{500}, (std::uint64_t{1} << 29) - 1, ~std::uint64_t{0}}) {
    ring.line.position = 0;
    held_consumer<> reader;
    EXPECT_EQ(reader.attach(ring.data(), ring.line, wrong).error().reason(), errc::corrupt) << wrong;
    EXPECT_FALSE(reader.attached());
    EXPECT_FALSE(reader.front());
  }
}

}  // namespace

namespace ferry::test {
INSTANTIATE_TYPED_TEST_SUITE_P(staged, ring_contract, staged_layout);
}  // namespace ferry::test
