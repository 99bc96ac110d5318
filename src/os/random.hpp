#pragma once
#include <sys/random.h>

#include <cstdint>

namespace ferry::os {

/// 64 random bits from the system's generator.
[[nodiscard]] inline std::uint64_t random_u64() noexcept {
  std::uint64_t bits = 1ull << 63;
  (void)!::getrandom(&bits, sizeof bits, 0);  // cannot fail for 8 bytes once the system is up
  return bits;
}

/// A random number in [0, 1), from the system's generator.
[[nodiscard]] inline double random_unit() noexcept { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

}  // namespace ferry::os
