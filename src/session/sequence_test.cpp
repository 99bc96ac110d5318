// Numbers of 64 bits on a wire of 32.
#include "session/sequence.hpp"

#include <gtest/gtest.h>

namespace ferry::session {
namespace {

constexpr std::uint64_t k_turn = std::uint64_t{1} << 32;

TEST(session_sequence, comes_back_from_its_low_32_bits_if_it_is_near) {
  for (const std::uint64_t number :
       {std::uint64_t{0}, std::uint64_t{5}, k_turn - 1, k_turn, 7 * k_turn + 3, (std::uint64_t{1} << 60) + 1})
    for (const std::int64_t distance : {-0x7fffffffll, -1000ll, -1ll, 0ll, 1ll, 1000ll, 0x7fffffffll}) {
      const std::uint64_t near = number + static_cast<std::uint64_t>(distance);
      if (distance < 0 && near > number) continue;
      EXPECT_EQ(widen(near, static_cast<std::uint32_t>(number)), number) << number << " near " << near;
    }
}

TEST(session_sequence, is_never_below_0) { EXPECT_EQ(widen(0, 0xffffffff), k_turn - 1); }

TEST(session_sequence, lies_within_a_range_across_the_wrap) {
  EXPECT_TRUE(within(5, 5, 5));
  EXPECT_FALSE(within(5, 6, 5));
  EXPECT_FALSE(within(5, 4, 5));
  EXPECT_TRUE(within(0xfffffff0, 3, 8));
  EXPECT_TRUE(within(0xfffffff0, 0xfffffff0, 8));
  EXPECT_TRUE(within(0xfffffff0, 8, 8));
  EXPECT_FALSE(within(0xfffffff0, 9, 8));
  EXPECT_FALSE(within(0xfffffff0, 0xffffffef, 8));
}

}  // namespace
}  // namespace ferry::session
