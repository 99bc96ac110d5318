#pragma once
#include <cstddef>
#include <cstdint>

namespace ferry {

/// What one connection took, counted in whole messages.
struct taken {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  // framing included

  /// One message of `size` bytes, framing included.
  void count(std::size_t size) noexcept {
    messages += 1;
    bytes += size;
  }
};

}  // namespace ferry
