#include "base/constant_time.hpp"

#include <gtest/gtest.h>

#include <array>

namespace ferry {
namespace {

TEST(equal_in_constant_time, tells_a_difference_in_any_bit_and_in_size) {
  const std::array<std::byte, 16> good{};
  EXPECT_TRUE(equal_in_constant_time(good, good));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto other = good;
    other[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(equal_in_constant_time(good, other)) << bit;
  }
  EXPECT_FALSE(equal_in_constant_time(good, bytes(good).first(15)));
}

}  // namespace
}  // namespace ferry
