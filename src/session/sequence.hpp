#pragma once
/// Sequence numbers: 64 bits inside, the low 32 of them where a wire has no more. Arithmetic is that of RFC 1982 with
/// all 32 bits: a number is told from its neighbours within 2^31.

#include <cstdint>

namespace ferry::session {

/// The number nearest to `near` whose low 32 bits are `low`.
[[nodiscard]] constexpr std::uint64_t widen(std::uint64_t near, std::uint32_t low) noexcept {
  const auto distance = static_cast<std::int32_t>(low - static_cast<std::uint32_t>(near));
  const std::uint64_t wide = near + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
  // Before the first number there is none.
  return distance < 0 && wide > near ? wide + (std::uint64_t{1} << 32) : wide;
}

/// Whether start <= number <= end, counted from start on.
[[nodiscard]] constexpr bool within(std::uint32_t start, std::uint32_t number, std::uint32_t end) noexcept {
  return number - start <= end - start;
}

}  // namespace ferry::session
