#include "channel/outbox.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"

namespace ferry {
namespace {

template <class F>
struct any_outbox : ::testing::Test {
  static std::string text(std::size_t i) { return std::string(i % 97, static_cast<char>('a' + i % 26)); }
  static std::size_t frame_size(std::size_t i) {
    std::array<std::byte, F::k_max_header> header;
    const std::string payload = text(i);
    return F::encode_header(header.data(), {as_bytes(payload)}) + payload.size();
  }
  void fill(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(box.append({as_bytes(text(i))}));
  }
  /// Everything that waits, as one string.
  std::string wire() {
    std::array<bytes, 64> parts;
    std::string all;
    for (const bytes part : std::span(parts).first(box.gather(parts))) all += as_text(part);
    return all;
  }
  buffer_pool pool;
  outbox<F> box{pool, 1024};
};

using framings = ::testing::Types<codec::varint_framing, codec::u32_framing, codec::typed_framing>;
TYPED_TEST_SUITE(any_outbox, framings);

TYPED_TEST(any_outbox, gathers_whole_frames_in_their_order) {
  this->fill(50);
  const std::string all = this->wire();
  EXPECT_EQ(all.size(), this->box.byte_count());
  const TypeParam decoder(1000);
  bytes rest = as_bytes(all);
  for (std::size_t i = 0; i < 50; ++i) {
    const auto frame = decoder.next(rest);
    ASSERT_TRUE(frame && frame->consumed != 0);
    EXPECT_EQ(frame->message.text(), this->text(i));
    rest = rest.subspan(frame->consumed);
  }
  EXPECT_TRUE(rest.empty());
}

TYPED_TEST(any_outbox, counts_a_message_as_taken_with_its_last_byte) {
  this->fill(10);
  std::size_t bytes_taken = 0;
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t left = this->frame_size(i); left != 0; --left) {
      EXPECT_EQ(this->box.on_this_connection().messages, i);
      EXPECT_EQ(this->box.messages(), 10 - i);
      this->box.consume(1);
      ++bytes_taken;
      EXPECT_EQ(this->box.on_this_connection().bytes, bytes_taken);
    }
  EXPECT_EQ(this->box.on_this_connection().messages, 10u);
  EXPECT_TRUE(this->box.empty());
}

// Wherever the connection broke, the next one gets the frame that was cut whole, and nothing that went wholly.
TYPED_TEST(any_outbox, is_whole_again_after_a_loss_at_any_byte) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < 12; ++i) total += this->frame_size(i);
  for (std::size_t cut = 0; cut <= total; ++cut) {
    outbox<TypeParam> lost_box(this->pool, 100);
    for (std::size_t i = 0; i < 12; ++i) ASSERT_TRUE(lost_box.append({as_bytes(this->text(i))}));
    std::size_t whole = 0, whole_bytes = 0;
    while (whole < 12 && whole_bytes + this->frame_size(whole) <= cut) whole_bytes += this->frame_size(whole++);
    lost_box.consume(cut);
    bool inside = false;
    const taken took = lost_box.rewind(inside);
    EXPECT_EQ(took.messages, whole) << "cut at " << cut;
    EXPECT_EQ(took.bytes, whole_bytes) << "cut at " << cut;
    EXPECT_EQ(inside, whole_bytes != cut) << "cut at " << cut;
    EXPECT_EQ(lost_box.messages(), 12 - whole);
    EXPECT_EQ(lost_box.byte_count(), total - whole_bytes);
    EXPECT_EQ(lost_box.on_this_connection().messages, 0u);
    if (whole < 12) {
      EXPECT_EQ(lost_box.first_frame().size(), this->frame_size(whole));
    }
  }
}

TYPED_TEST(any_outbox, gives_up_the_first_frame_alone) {
  this->fill(5);
  this->box.consume(this->frame_size(0) + 1);
  bool inside = false;
  (void)this->box.rewind(inside);
  this->box.drop_first_frame();
  EXPECT_EQ(this->box.messages(), 3u);
  EXPECT_EQ(this->box.on_this_connection().messages, 0u) << "given up is not taken";
  EXPECT_EQ(this->box.first_frame().size(), this->frame_size(2));
}

TYPED_TEST(any_outbox, takes_over_another_one_behind_its_own) {
  outbox<TypeParam> other(this->pool, 1024);
  ASSERT_TRUE(this->box.append({as_bytes("first")}));
  ASSERT_TRUE(other.append({as_bytes("second")}));
  this->box.splice(other);
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(other.messages(), 0u);
  EXPECT_EQ(this->box.messages(), 2u);
  const std::string all = this->wire();
  EXPECT_LT(all.find("first"), all.find("second"));
}

TYPED_TEST(any_outbox, gives_a_large_message_a_buffer_of_its_own_and_gives_all_buffers_back) {
  ASSERT_TRUE(this->box.append({as_bytes("small")}));
  ASSERT_TRUE(this->box.append({as_bytes(std::string(100'000, 'x'))}));
  ASSERT_TRUE(this->box.append({as_bytes("small")}));
  EXPECT_EQ(this->box.messages(), 3u);
  this->box.consume(this->box.byte_count());
  this->box.settle();
  EXPECT_EQ(this->pool.stats().bytes_lent, 0u);
}

TYPED_TEST(any_outbox, keeps_the_buffer_of_a_batch_for_the_next_one_until_it_settles) {
  ASSERT_TRUE(this->box.append({as_bytes("one")}));
  this->box.consume(this->box.byte_count());
  const auto lent = this->pool.stats().bytes_lent;
  EXPECT_GT(lent, 0u);
  const auto acquired = [this] { return this->pool.stats().hits + this->pool.stats().misses; };
  const auto before = acquired();
  ASSERT_TRUE(this->box.append({as_bytes("two")}));
  EXPECT_EQ(acquired(), before);
  this->box.settle();
  EXPECT_EQ(this->box.messages(), 1u) << "what waits stays";
  this->box.consume(this->box.byte_count());
  this->box.settle();
  EXPECT_EQ(this->pool.stats().bytes_lent, 0u);
}

TYPED_TEST(any_outbox, passes_its_buffer_on_to_the_next_one_while_a_turn_lasts) {
  net::turn_buffers turn;
  turn.begin();
  for (int i = 0; i < 10; ++i) {
    outbox<TypeParam> one(this->pool, 1024, &turn);
    ASSERT_TRUE(one.append({as_bytes(this->text(1))}));
    one.consume(one.byte_count());
    one.settle();
  }
  EXPECT_EQ(this->pool.stats().hits + this->pool.stats().misses, 1u);
  turn.end();
  EXPECT_EQ(this->pool.stats().bytes_lent, 0u);
}

TYPED_TEST(any_outbox, keeps_no_buffer_that_is_larger_than_a_batch) {
  ASSERT_TRUE(this->box.append({as_bytes(std::string(4'000'000, 'x'))}));
  this->box.consume(this->box.byte_count());
  EXPECT_EQ(this->pool.stats().bytes_lent, 0u);
}

TYPED_TEST(any_outbox, takes_a_message_that_the_kept_buffer_has_no_room_for) {
  ASSERT_TRUE(this->box.append({as_bytes("one")}));
  this->box.consume(this->box.byte_count());
  const std::string large(20'000, 'x');
  ASSERT_TRUE(this->box.append({as_bytes(large)}));
  std::array<bytes, 4> parts;
  ASSERT_EQ(this->box.gather(parts), 1u);
  EXPECT_EQ(parts[0].size(), this->box.byte_count());
  EXPECT_EQ(this->box.first_frame().size(), this->box.byte_count());
}

TYPED_TEST(any_outbox, stays_as_it_was_when_there_is_no_memory) {
  buffer_pool small({.max_bytes = 8192});
  outbox<TypeParam> small_box(small, 1024);
  ASSERT_TRUE(small_box.append({as_bytes("fits")}));
  const std::size_t before = small_box.byte_count();
  EXPECT_FALSE(small_box.append({as_bytes(std::string(100'000, 'x'))}));
  EXPECT_EQ(small_box.byte_count(), before);
  EXPECT_EQ(small_box.messages(), 1u);
}

}  // namespace
}  // namespace ferry
