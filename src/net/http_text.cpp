#include "net/http_text.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/core/detail/base64.hpp>
#include <boost/uuid/detail/sha1.hpp>

namespace ferry {

std::string_view find_field(const http_fields& fields, std::string_view name) noexcept {
  for (const auto& [key, value] : fields)
    if (net::same_name(key, name)) return value;
  return {};
}

std::optional<std::string_view> http_request::cookie(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields) {
    if (!net::same_name(key, "Cookie")) continue;
    std::string_view left = value;
    while (!left.empty()) {
      const auto end = std::min(left.find(';'), left.size());
      std::string_view one = left.substr(0, end);
      left.remove_prefix(std::min(end + 1, left.size()));
      one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
      const auto equals = one.find('=');
      if (equals != std::string_view::npos && one.substr(0, equals) == name) return one.substr(equals + 1);
    }
  }
  return std::nullopt;
}

namespace net {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_field(std::string_view name, std::string_view value) noexcept {
  return is_token(name) && std::all_of(value.begin(), value.end(), [](char c) {
           return (static_cast<unsigned char>(c) >= ' ' && c != 127) || c == '\t';
         });
}

std::vector<std::string_view> list_of(std::string_view value) {
  std::vector<std::string_view> parts;
  while (!value.empty()) {
    const auto end = std::min(value.find(','), value.size());
    if (const auto part = trimmed(value.substr(0, end)); !part.empty()) parts.push_back(part);
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  return parts;
}

bool list_has(std::string_view value, std::string_view word) {
  const auto parts = list_of(value);
  return std::any_of(parts.begin(), parts.end(), [word](std::string_view one) { return same_name(one, word); });
}

std::string joined(const http_fields& fields, std::string_view name) {
  std::string all;
  for (const auto& [key, value] : fields)
    if (same_name(key, name)) all.append(all.empty() ? "" : ", ").append(value);
  return all;
}

std::string one_line(std::string_view text, std::size_t most) {
  std::string line(text.substr(0, most));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > most ? line + "..." : line;
}

void add_field(std::string& to, std::string_view name, std::string_view value) {
  to.append(name).append(": ").append(value).append("\r\n");
}

std::string base64_of(const void* data, std::size_t size) {
  std::string text(boost::beast::detail::base64::encoded_size(size), '\0');
  text.resize(boost::beast::detail::base64::encode(text.data(), data, size));
  return text;
}

// Boost's SHA-1, and not OpenSSL's, as ws:// works without TLS; it protects nothing here.
std::string accept_value(std::string_view key) {
  boost::uuids::detail::sha1 sum;
  sum.process_bytes(key.data(), key.size());
  constexpr std::string_view k_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  sum.process_bytes(k_guid.data(), k_guid.size());
  unsigned int words[5];
  sum.get_digest(words);
  std::array<std::byte, 20> digest;
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t b = 0; b < 4; ++b) digest[4 * i + b] = static_cast<std::byte>(words[i] >> (24 - 8 * b));
  return base64_of(digest.data(), digest.size());
}

}  // namespace net
}  // namespace ferry
