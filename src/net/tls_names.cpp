#include "net/tls_names.hpp"

#include <algorithm>

namespace ferry::net {
namespace {

constexpr std::string_view k_digits = "0123456789abcdef";
constexpr std::size_t k_sha256_digits = 64;
constexpr std::size_t k_longest_protocol = 255;

bool parse_pin(std::string_view text, tls_pin& pin) {
  pin.of_key = text.starts_with("key:");
  if (pin.of_key) text.remove_prefix(4);
  if (text.starts_with("cert:")) text.remove_prefix(5);
  for (const char c : text) {
    if (c == ':') continue;
    const char small = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (k_digits.find(small) == std::string_view::npos) return false;
    pin.sha256 += small;
  }
  return pin.sha256.size() == k_sha256_digits;
}

}  // namespace

std::vector<std::string> split_list(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end + 1 == text.size()) parts.emplace_back();  // what follows the last separator
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return parts;
}

std::optional<std::vector<tls_pin>> parse_tls_pins(std::string_view text) {
  std::vector<tls_pin> pins;
  for (const auto& part : split_list(text, ','))
    if (!parse_pin(part, pins.emplace_back())) return {};
  return pins;
}

std::optional<std::string> tls_protocol_list(std::string_view text) {
  std::string list;
  for (const auto& name : split_list(text, ',')) {
    if (name.empty() || name.size() > k_longest_protocol) return {};
    list += static_cast<char>(name.size());
    list += name;
  }
  return list;
}

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
  std::string digits;
  for (std::size_t i = 0; i < size; ++i) {
    digits += k_digits[bytes[i] >> 4];
    digits += k_digits[bytes[i] & 15];
  }
  return digits;
}

}  // namespace ferry::net
