#include "base/utf8.hpp"

namespace ferry {
namespace {

unsigned byte_at(std::string_view text, std::size_t i) noexcept { return static_cast<unsigned char>(text[i]); }
bool goes_on(std::string_view text, std::size_t i) noexcept { return (byte_at(text, i) & 0xc0) == 0x80; }

bool may_be_shown(std::string_view character) noexcept {
  const unsigned first = byte_at(character, 0);
  if (character.size() == 1) return first >= 0x20 && first != 0x7f;
  const unsigned second = byte_at(character, 1);
  if (character.size() == 2) return first != 0xc2 || second >= 0xa0;  // U+0080 .. U+009F
  if (character.size() == 4 || first != 0xe2) return true;
  const unsigned third = byte_at(character, 2);
  const bool line_or_direction = second == 0x80 && third >= 0xa8 && third <= 0xae;  // U+2028 .. U+202E
  const bool isolate = second == 0x81 && third >= 0xa6 && third <= 0xa9;            // U+2066 .. U+2069
  return !line_or_direction && !isolate;
}

}  // namespace

std::size_t utf8_character(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  // Only the second byte's range depends on the first.
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte_at(text, 1) < low || byte_at(text, 1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i)
    if (!goes_on(text, i)) return 0;
  return size;
}

std::string_view utf8_beginning(std::string_view text, std::size_t most) noexcept {
  if (text.size() <= most) return text;
  constexpr std::size_t k_longest_part = 3;  // of a character that is cut
  for (std::size_t end = most; most - end <= k_longest_part; --end) {
    if (!goes_on(text, end)) return text.substr(0, end);
    if (end == 0) break;
  }
  return text.substr(0, most);
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto character = text.substr(0, utf8_character(text));
    if (!character.empty() && may_be_shown(character)) {
      out += character;
    } else {
      out += '?';
    }
    text.remove_prefix(character.empty() ? 1 : character.size());
  }
  return out;
}

}  // namespace ferry
