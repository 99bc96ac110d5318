#include "net/address_ranges.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace ferry::net {
namespace {

constexpr std::size_t k_most_ranges = 256;
constexpr unsigned k_all_bits = 128;
constexpr unsigned k_mapped_bits = 96;  // of ::ffff:0:0, in front of an IPv4 address

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

/// @return bits in front of the address's own: 0, or 96 for IPv4; nothing if it is none
std::optional<unsigned> read_address(std::string_view text, std::array<unsigned char, 16>& into) {
  const std::string host(text);
  if (host.find('\0') != std::string::npos) return std::nullopt;
  if (::inet_pton(AF_INET6, host.c_str(), into.data()) == 1) return 0;
  into = {};
  into[10] = into[11] = 0xff;
  return ::inet_pton(AF_INET, host.c_str(), into.data() + 12) == 1 ? std::optional(k_mapped_bits) : std::nullopt;
}

std::optional<address_range> read_range(std::string_view text) {
  address_range made;
  const auto slash = std::min(text.find('/'), text.size());
  const auto in_front = read_address(text.substr(0, slash), made.address);
  if (!in_front) return std::nullopt;
  if (slash == text.size()) return made;
  const auto digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (failed != std::errc{} || end != digits.data() + digits.size() || bits > k_all_bits - *in_front)
    return std::nullopt;
  made.bits = *in_front + bits;
  return made;
}

bool is_same(const address_range& range, const std::array<unsigned char, 16>& address) {
  const unsigned whole = range.bits / 8;
  if (!std::equal(address.begin(), address.begin() + whole, range.address.begin())) return false;
  const unsigned rest = range.bits % 8;
  return rest == 0 || (address[whole] ^ range.address[whole]) >> (8 - rest) == 0;
}

}  // namespace

std::optional<std::vector<address_range>> parse_address_ranges(std::string_view text) {
  std::vector<address_range> ranges;
  if (trimmed(text).empty()) return ranges;
  for (std::size_t at = 0; at <= text.size();) {
    const auto comma = std::min(text.find(',', at), text.size());
    const auto range = read_range(trimmed(text.substr(at, comma - at)));
    if (!range || ranges.size() == k_most_ranges) return std::nullopt;
    ranges.push_back(*range);
    at = comma + 1;
  }
  return ranges;
}

bool is_within(const std::vector<address_range>& ranges, std::string_view address) {
  std::string_view host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  host = host.substr(0, host.find('%'));  // the zone of a link-local address
  std::array<unsigned char, 16> binary{};
  return read_address(host, binary) &&
         std::any_of(ranges.begin(), ranges.end(), [&](const auto& one) { return is_same(one, binary); });
}

}  // namespace ferry::net
