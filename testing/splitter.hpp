#pragma once
/// Every way to cut or damage a string of bytes, for decoders.

#include <ferry/bytes.hpp>

#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace ferry::test {

using byte_string = std::vector<std::byte>;

/// make_bytes({0x80, 0x01}) and make_bytes("text"): bytes that own themselves.
[[nodiscard]] inline byte_string make_bytes(std::initializer_list<int> values) {
  byte_string made;
  for (const int value : values) made.push_back(static_cast<std::byte>(value));
  return made;
}
[[nodiscard]] inline byte_string make_bytes(std::string_view text) {
  const bytes view = as_bytes(text);
  return {view.begin(), view.end()};
}

/// Calls f(head, tail) for each of the size + 1 cuts of `wire`; head or tail may be empty. Both are views into copies
/// of their exact size, so that AddressSanitizer sees a read beyond the end.
template <class F>
void for_every_cut(bytes wire, F f) {
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const byte_string head(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(cut));
    const byte_string tail(wire.begin() + static_cast<std::ptrdiff_t>(cut), wire.end());
    f(bytes(head), bytes(tail));
  }
}

/// Calls f(pieces) with `wire` in pieces of 1 byte, of 2 bytes, ... and as a whole; the last piece may be shorter.
template <class F>
void for_every_piece_size(bytes wire, F f) {
  for (std::size_t size = 1; size <= wire.size(); ++size) {
    std::vector<bytes> pieces;
    for (std::size_t at = 0; at < wire.size(); at += size)
      pieces.push_back(wire.subspan(at, size < wire.size() - at ? size : wire.size() - at));
    f(static_cast<const std::vector<bytes>&>(pieces));
  }
}

/// Calls f(damaged, at) for each byte of `wire` and each of its 255 other values.
template <class F>
void for_every_corruption(bytes wire, F f) {
  byte_string damaged(wire.begin(), wire.end());
  for (std::size_t at = 0; at < damaged.size(); ++at) {
    const std::byte original = damaged[at];
    for (int change = 1; change < 256; ++change) {
      damaged[at] = original ^ static_cast<std::byte>(change);
      f(bytes(damaged), at);
    }
    damaged[at] = original;
  }
}

}  // namespace ferry::test
