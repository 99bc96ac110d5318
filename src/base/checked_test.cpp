#include "base/checked.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace ferry {
namespace {

constexpr auto k_max = std::numeric_limits<std::uint64_t>::max();

TEST(checked_add, gives_the_sum_or_nothing) {
  EXPECT_EQ(checked_add<std::uint64_t>(2, 3), 5u);
  EXPECT_EQ(checked_add<std::uint64_t>(k_max, 0), k_max);
  EXPECT_EQ(checked_add<std::uint64_t>(k_max, 1), std::nullopt);
  EXPECT_EQ(checked_add<std::uint64_t>(k_max, k_max), std::nullopt);
}

TEST(checked_add, agrees_with_wider_arithmetic_for_every_pair_of_bytes) {
  for (unsigned a = 0; a < 256; ++a)
    for (unsigned b = 0; b < 256; ++b) {
      const auto sum = checked_add(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b));
      ASSERT_EQ(sum.has_value(), a + b < 256);
      ASSERT_EQ(sum.value_or(0), a + b < 256 ? a + b : 0);
    }
}

TEST(checked_mul, agrees_with_wider_arithmetic_for_every_pair_of_bytes) {
  for (unsigned a = 0; a < 256; ++a)
    for (unsigned b = 0; b < 256; ++b) {
      const auto product = checked_mul(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b));
      ASSERT_EQ(product.has_value(), a * b < 256);
      ASSERT_EQ(product.value_or(0), a * b < 256 ? a * b : 0);
    }
  EXPECT_EQ(checked_mul<std::uint64_t>(k_max, 2), std::nullopt);
}

TEST(round_up, gives_the_next_multiple_of_a_power_of_two) {
  EXPECT_EQ(round_up<std::uint64_t>(0, 8), 0u);
  EXPECT_EQ(round_up<std::uint64_t>(1, 8), 8u);
  EXPECT_EQ(round_up<std::uint64_t>(8, 8), 8u);
  EXPECT_EQ(round_up<std::uint64_t>(9, 8), 16u);
  EXPECT_EQ(round_up<std::uint64_t>(7, 1), 7u);
}

TEST(round_up, gives_nothing_where_the_multiple_does_not_fit_or_is_no_power_of_two) {
  EXPECT_EQ(round_up<std::uint64_t>(k_max - 7, 8), k_max - 7);
  EXPECT_EQ(round_up<std::uint64_t>(k_max - 6, 8), std::nullopt);
  EXPECT_EQ(round_up<std::uint64_t>(10, 12), std::nullopt);
  EXPECT_EQ(round_up<std::uint64_t>(10, 0), std::nullopt);
}

}  // namespace
}  // namespace ferry
