#pragma once
#include <sys/random.h>

#include <cstdint>

namespace ferry::os {

/// A random number in [0, 1), from the system's generator.
[[nodiscard]] inline double random_unit() noexcept {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits) return 0.5;  // cannot happen for 8 bytes once the system is up
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace ferry::os
