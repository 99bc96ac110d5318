#include "base/endian.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace ferry {
namespace {

template <class T>
class byte_order : public ::testing::Test {};
using widths = ::testing::Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
TYPED_TEST_SUITE(byte_order, widths);

/// 0x0102.. with one byte after the other.
template <class T>
constexpr T counting() {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((std::uint64_t{value} << 8) | (i + 1));
  return value;
}

TYPED_TEST(byte_order, little_endian_puts_the_least_significant_byte_first) {
  std::array<std::byte, sizeof(TypeParam)> wire{};
  store_le(wire.data(), counting<TypeParam>());
  for (std::size_t i = 0; i < wire.size(); ++i) EXPECT_EQ(std::to_integer<std::size_t>(wire[i]), wire.size() - i);
  EXPECT_EQ(load_le<TypeParam>(wire.data()), counting<TypeParam>());
}

TYPED_TEST(byte_order, big_endian_puts_the_most_significant_byte_first) {
  std::array<std::byte, sizeof(TypeParam)> wire{};
  store_be(wire.data(), counting<TypeParam>());
  for (std::size_t i = 0; i < wire.size(); ++i) EXPECT_EQ(std::to_integer<std::size_t>(wire[i]), i + 1);
  EXPECT_EQ(load_be<TypeParam>(wire.data()), counting<TypeParam>());
}

TYPED_TEST(byte_order, touches_exactly_its_bytes_at_any_alignment) {
  for (std::size_t offset = 0; offset < 8; ++offset) {
    std::array<std::byte, 24> room;
    room.fill(std::byte{0xee});
    store_le(room.data() + offset, std::numeric_limits<TypeParam>::max());
    for (std::size_t i = 0; i < room.size(); ++i) {
      const bool inside = i >= offset && i < offset + sizeof(TypeParam);
      EXPECT_EQ(room[i], inside ? std::byte{0xff} : std::byte{0xee}) << i;
    }
    EXPECT_EQ(load_le<TypeParam>(room.data() + offset), std::numeric_limits<TypeParam>::max());
  }
}

}  // namespace
}  // namespace ferry
