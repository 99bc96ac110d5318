#pragma once
/// Arithmetic on numbers that came from outside: nothing instead of a wrapped result.

#include <bit>
#include <concepts>
#include <optional>

namespace ferry {

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) noexcept {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) noexcept {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The smallest multiple of `multiple`, a power of two, that is at least `value`; nothing if T cannot hold it.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> round_up(T value, T multiple) noexcept {
  if (!std::has_single_bit(multiple)) return std::nullopt;
  const auto mask = static_cast<T>(multiple - 1);
  const auto sum = checked_add(value, mask);
  if (!sum) return std::nullopt;
  return static_cast<T>(*sum & static_cast<T>(~mask));
}

}  // namespace ferry
