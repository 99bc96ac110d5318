#pragma once
/// The two fill levels between which a queue's owner waits.

#include <cstddef>

namespace ferry::detail {

/// The low mark that belongs to a high one, both in bytes: `asked`, or a quarter of the high one where that is 0.
[[nodiscard]] constexpr std::size_t low_mark(std::size_t high, std::size_t asked) noexcept {
  return asked != 0 ? asked : high / 4;
}

}  // namespace ferry::detail
