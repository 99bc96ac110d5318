#pragma once
/// UTF-8 (RFC 3629) as far as text for people needs it: where a character ends, and what may be shown.

#include <cstddef>
#include <string>
#include <string_view>

namespace ferry {

/// @return the bytes of the character that `text` begins with: 1 .. 4; 0 if it begins with none
[[nodiscard]] std::size_t utf8_character(std::string_view text) noexcept;

/// The longest beginning of at most `most` bytes that ends between two characters; of what is not UTF-8, `most` bytes.
[[nodiscard]] std::string_view utf8_beginning(std::string_view text, std::size_t most) noexcept;

/// A stranger's text for a terminal or a log: '?' stands for each byte that is not UTF-8, each control character, and
/// each character that breaks the line or turns the direction of writing.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace ferry
