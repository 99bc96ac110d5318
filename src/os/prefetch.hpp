#pragma once
/// A hint to the processor: these bytes are needed soon.

#include <cstddef>

namespace ferry::os {

/// @param from  null, or of so many bytes; where they cannot be read nothing happens
template <std::size_t bytes>
inline void prefetch(const void* from) noexcept {
  constexpr std::size_t k_line = 64;
  if (from == nullptr) return;  // the compiler may believe that nobody counts on from there
  for (std::size_t at = 0; at < bytes; at += k_line) __builtin_prefetch(static_cast<const char*>(from) + at);
}

}  // namespace ferry::os
