#pragma once
/// Comparing what must not be guessed byte by byte.

#include <ferry/bytes.hpp>

namespace ferry {

/// Takes as long for any two values of one size.
[[nodiscard]] inline bool equal_in_constant_time(bytes a, bytes b) noexcept {
  if (a.size() != b.size()) return false;
  unsigned differing = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differing |= std::to_integer<unsigned>(a[i] ^ b[i]);
  const volatile unsigned seen = differing;  // the loop is not left early
  return seen == 0;
}

}  // namespace ferry
