#pragma once
/// Views of bytes. A view owns nothing and is valid as long as what it views. Includes no Boost.

#include <cstddef>
#include <span>
#include <string_view>

namespace ferry {

using bytes = std::span<const std::byte>;
using mutable_bytes = std::span<std::byte>;

/// The bytes of a text, without its terminating zero.
[[nodiscard]] inline bytes as_bytes(std::string_view text) noexcept { return std::as_bytes(std::span(text)); }

/// The same bytes seen as characters; no encoding is checked.
[[nodiscard]] inline std::string_view as_text(bytes data) noexcept {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

}  // namespace ferry
