#pragma once
/// What every layout of a ring must do, as tests over a Layout. A layout is both ends of one ring over memory of its
/// own:
///
///     Layout(ring_bytes, start, fresh)       an empty ring; `fresh` is what fills the bytes that must not matter
///     static starts() -> std::vector<start>  positions and numbers that are worth beginning at
///     static k_alignment                     of every view
///     static k_around                        bytes that a record takes besides its body, at most
///     static k_has_end                       whether end() and ended() say something
///     static k_share                         the position is published every 1/k_share of the ring at the latest
///     max_body()
///     accepts(size) -> bool                  whether a record must fit now, by the layout's rule, told independently
///     reserve(size) -> std::byte*, publish(size), push(bytes) -> bool, end()
///     front() -> std::optional<bytes>, pop(), ended() -> bool
///     publish_position(), published() -> position that the producer can know, read() -> position of the reader
///     intact() -> bool                       what must hold whenever nobody is at work
///
/// Used as: INSTANTIATE_TYPED_TEST_SUITE_P(native, ring_contract, my_layout);

#include <ferry/bytes.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

namespace ferry::test {

struct ring_start {
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
};

inline constexpr std::size_t k_contract_ring = 4096;

/// The body of the n-th message; neighbours and shifted copies differ.
inline std::vector<std::byte> ring_body(std::size_t size, std::uint64_t n) {
  std::vector<std::byte> made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::byte>(n * 31 + i * 7 + (i >> 8) + 1);
  return made;
}

/// A ring beside what a queue would hold.
template <class Layout>
class watched_ring {
 public:
  explicit watched_ring(std::size_t ring_bytes = k_contract_ring, ring_start start = {},
                        std::byte fresh = std::byte{0xee})
      : ring(ring_bytes, start, fresh) {}

  /// Pushes if the rule says that there is room, and sees that nothing fits otherwise. @return whether it did
  bool push(std::size_t size, std::size_t reserved) {
    const bool room = ring.accepts(reserved);
    const auto body = ring_body(size, pushed_++);
    std::byte* const to = ring.reserve(reserved);
    EXPECT_EQ(to != nullptr, room) << "for " << reserved << " bytes";
    if (to == nullptr) return false;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(to) % Layout::k_alignment, 0u);
    // All that was reserved may be written, whatever is published of it.
    std::fill_n(to, reserved, std::byte{0xdd});
    std::copy(body.begin(), body.end(), to);
    ring.publish(size);
    expected_.push_back(body);
    EXPECT_TRUE(ring.intact());
    return true;
  }
  bool push(std::size_t size) { return push(size, size); }

  /// Reads one record, if there should be one. @return whether there was
  bool pop() {
    const auto got = ring.front();
    EXPECT_EQ(got.has_value(), !expected_.empty());
    EXPECT_TRUE(ring.intact());
    if (!got || expected_.empty()) return false;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(got->data()) % Layout::k_alignment, 0u);
    EXPECT_TRUE(std::equal(got->begin(), got->end(), expected_.front().begin(), expected_.front().end()))
        << "a record of " << got->size() << " bytes is not the one of " << expected_.front().size();
    ring.pop();
    expected_.pop_front();
    EXPECT_TRUE(ring.intact());
    return true;
  }
  std::size_t pop_all() {
    std::size_t popped = 0;
    while (pop()) ++popped;
    return popped;
  }
  [[nodiscard]] std::size_t unread() const { return expected_.size(); }

  Layout ring;

 private:
  std::deque<std::vector<std::byte>> expected_;
  std::uint64_t pushed_ = 0;
};

template <class Layout>
class ring_contract : public testing::Test {};
TYPED_TEST_SUITE_P(ring_contract);

TYPED_TEST_P(ring_contract, gives_back_every_size_in_order) {
  watched_ring<TypeParam> watched;
  for (std::size_t size = 0; size <= watched.ring.max_body(); ++size) {
    ASSERT_TRUE(watched.push(size)) << size;
    if (size % 3 == 2 || watched.unread() * (size + 64) > k_contract_ring / 4) {
      ASSERT_NE(watched.pop_all(), 0u);
    }
  }
}

TYPED_TEST_P(ring_contract, fills_up_to_its_last_byte_and_refuses_one_more) {
  for (const std::size_t size : {0, 1, 8, 9, 56, 64, 100, 504}) {
    watched_ring<TypeParam> watched;
    while (watched.push(size)) {
    }
    EXPECT_GT(watched.unread() * (size + TypeParam::k_around), k_contract_ring - 64 - 2 * size) << size;
    const auto filled = watched.unread();
    EXPECT_FALSE(watched.push(size));
    ASSERT_EQ(watched.pop_all(), filled);
    EXPECT_TRUE(watched.push(watched.ring.max_body())) << "what was read is free again";
  }
}

TYPED_TEST_P(ring_contract, is_the_same_at_every_offset) {
  for (std::uint64_t offset = 0; offset < k_contract_ring; offset += TypeParam::k_alignment) {
    watched_ring<TypeParam> watched(k_contract_ring, {k_contract_ring + offset, 77});
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{64}, watched.ring.max_body()}) {
      while (watched.push(size)) {
      }
      watched.pop();
      watched.ring.publish_position();
      watched.push(size / 2, size);
      watched.pop_all();
      ASSERT_FALSE(testing::Test::HasFailure()) << "at offset " << offset;
    }
  }
}

TYPED_TEST_P(ring_contract, publishes_less_than_was_reserved) {
  watched_ring<TypeParam> watched;
  for (std::size_t reserved = 0; reserved <= watched.ring.max_body(); reserved += 13)
    for (const std::size_t size : {std::size_t{0}, reserved / 3, reserved}) {
      ASSERT_TRUE(watched.push(size, reserved));
      ASSERT_TRUE(watched.push(1));
      ASSERT_EQ(watched.pop_all(), 2u) << size << " of " << reserved;
    }
}

TYPED_TEST_P(ring_contract, does_not_show_a_reservation_that_was_given_up) {
  watched_ring<TypeParam> watched;
  for (std::size_t round = 0; round < k_contract_ring / 16; ++round) {
    std::byte* const to = watched.ring.reserve(watched.ring.max_body());
    ASSERT_NE(to, nullptr);
    std::fill_n(to, watched.ring.max_body(), std::byte{0xff});
    EXPECT_FALSE(watched.ring.front().has_value());
    EXPECT_TRUE(watched.ring.intact());
    ASSERT_TRUE(watched.push(round % 40));
    EXPECT_EQ(watched.pop_all(), 1u);
  }
}

TYPED_TEST_P(ring_contract, delivers_what_came_before_the_end_and_nothing_after) {
  if (!TypeParam::k_has_end) GTEST_SKIP() << "this layout knows no end";
  for (std::uint64_t offset = 0; offset < k_contract_ring; offset += TypeParam::k_alignment) {
    watched_ring<TypeParam> watched(k_contract_ring, {offset, 0});
    while (watched.push(40)) {
    }
    watched.ring.end();
    watched.ring.end();
    EXPECT_FALSE(watched.ring.ended());
    EXPECT_GT(watched.pop_all(), 80u);
    EXPECT_TRUE(watched.ring.ended());
    EXPECT_EQ(watched.ring.published(), watched.ring.read());
    EXPECT_EQ(watched.ring.reserve(0), nullptr) << "there is room, but no sequel";
    EXPECT_FALSE(watched.ring.push({}));
    EXPECT_FALSE(watched.ring.front().has_value());
  }
}

TYPED_TEST_P(ring_contract, publishes_its_position_in_shares_of_the_ring_and_when_found_empty) {
  watched_ring<TypeParam> watched;
  for (int round = 0; round < 50; ++round) {
    while (watched.push(100)) {
    }
    std::size_t published = 0;
    while (watched.unread() > 1) {
      const auto before = watched.ring.published();
      watched.pop();
      published += watched.ring.published() != before;
      ASSERT_LT(watched.ring.read() - watched.ring.published(), k_contract_ring / TypeParam::k_share);
    }
    EXPECT_GE(published, TypeParam::k_share / 2);
    watched.pop();
    EXPECT_FALSE(watched.ring.front().has_value());
    ASSERT_EQ(watched.ring.published(), watched.ring.read());
  }
}

TYPED_TEST_P(ring_contract, keeps_unread_records_out_of_the_producers_reach) {
  watched_ring<TypeParam> watched;
  for (int round = 0; round < 200; ++round) {
    while (watched.push(24)) {
    }
    for (int i = 0; i < round % 7 + 1; ++i) watched.pop();
    const auto view = watched.ring.front();
    ASSERT_TRUE(view.has_value());
    const std::vector<std::byte> copy(view->begin(), view->end());
    while (watched.push(8)) {
    }
    EXPECT_TRUE(std::equal(view->begin(), view->end(), copy.begin(), copy.end()));
  }
  watched.pop_all();
}

TYPED_TEST_P(ring_contract, agrees_with_a_queue_over_millions_of_random_operations) {
  std::mt19937_64 random(20240229);
  for (const auto& start : TypeParam::starts()) {
    watched_ring<TypeParam> watched(k_contract_ring, start);
    const auto size_now = [&] {
      const auto r = random();
      if (r % 8 != 0) return static_cast<std::size_t>((r >> 8) % 96);
      return static_cast<std::size_t>((r >> 8) % (watched.ring.max_body() + 1));
    };
    for (int i = 0; i < 400'000; ++i) {
      switch (random() % 16) {
        default: watched.pop(); break;
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5: watched.push(size_now()); break;
        case 6: {
          const auto reserved = size_now();
          watched.push(reserved == 0 ? 0 : random() % reserved, reserved);
          break;
        }
        case 7: (void)watched.ring.reserve(size_now()); break;
        case 8: watched.ring.publish_position(); break;
      }
      if (i % 4096 == 0) watched.pop_all();
    }
    watched.pop_all();
    ASSERT_FALSE(testing::Test::HasFailure()) << "from " << start.position << ", number " << start.sequence;
  }
}

TYPED_TEST_P(ring_contract, does_not_mind_what_lies_in_memory_that_nobody_wrote) {
  for (const int fresh : {0x00, 0x01, 0x80, 0xc0, 0xe0, 0xff}) {
    watched_ring<TypeParam> watched(k_contract_ring, {}, static_cast<std::byte>(fresh));
    for (std::size_t i = 0; i < k_contract_ring; ++i) {
      EXPECT_FALSE(watched.ring.front().has_value());
      ASSERT_TRUE(watched.push(i % 60));
      watched.pop();
    }
    ASSERT_FALSE(testing::Test::HasFailure()) << "filled with " << fresh;
  }
}

REGISTER_TYPED_TEST_SUITE_P(ring_contract, gives_back_every_size_in_order,
                            fills_up_to_its_last_byte_and_refuses_one_more, is_the_same_at_every_offset,
                            publishes_less_than_was_reserved, does_not_show_a_reservation_that_was_given_up,
                            delivers_what_came_before_the_end_and_nothing_after,
                            publishes_its_position_in_shares_of_the_ring_and_when_found_empty,
                            keeps_unread_records_out_of_the_producers_reach,
                            agrees_with_a_queue_over_millions_of_random_operations,
                            does_not_mind_what_lies_in_memory_that_nobody_wrote);

}  // namespace ferry::test
