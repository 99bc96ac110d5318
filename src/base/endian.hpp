#pragma once
/// Integers in bytes, in a named byte order. No alignment is asked for; sizeof(T) bytes must be there.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ferry {
namespace detail {

template <std::unsigned_integral T>
[[nodiscard]] constexpr T byte_swapped(T value) noexcept {
  if constexpr (sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(value);
  } else {
    static_assert(sizeof(T) == 8);
    return __builtin_bswap64(value);
  }
}

template <std::endian order, std::unsigned_integral T>
[[nodiscard]] constexpr T to_order(T value) noexcept {
  static_assert(std::endian::native == std::endian::little || std::endian::native == std::endian::big);
  return order == std::endian::native ? value : byte_swapped(value);
}

template <std::endian order, std::unsigned_integral T>
[[nodiscard]] inline T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return to_order<order>(value);
}

template <std::endian order, std::unsigned_integral T>
inline void store(std::byte* to, T value) noexcept {
  value = to_order<order>(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace detail

template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const std::byte* from) noexcept {
  return detail::load<std::endian::little, T>(from);
}
template <std::unsigned_integral T>
[[nodiscard]] inline T load_be(const std::byte* from) noexcept {
  return detail::load<std::endian::big, T>(from);
}
template <std::unsigned_integral T>
inline void store_le(std::byte* to, T value) noexcept {
  detail::store<std::endian::little>(to, value);
}
template <std::unsigned_integral T>
inline void store_be(std::byte* to, T value) noexcept {
  detail::store<std::endian::big>(to, value);
}

}  // namespace ferry
