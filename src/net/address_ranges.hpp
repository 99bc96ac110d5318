#pragma once
/// Lists of IP addresses and networks: "10.0.0.0/8, 2001:db8::/32, 127.0.0.1".

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry::net {

inline constexpr std::string_view k_address_ranges_form =
    "at most 256 addresses or networks (10.0.0.0/8, ::1), separated by commas";

/// An address and how many of its bits count; IPv4 as its mapped IPv6 address (::ffff:a.b.c.d), so that a socket that
/// takes both families knows both.
struct address_range {
  std::array<unsigned char, 16> address{};
  unsigned bits = 128;
};

/// @return nothing if one is not of this form; no ranges for an empty text
[[nodiscard]] std::optional<std::vector<address_range>> parse_address_ranges(std::string_view text);

/// @param address  as peer_info::address has it: "10.1.2.3:4711", "[::1]:80"
[[nodiscard]] bool is_within(const std::vector<address_range>& ranges, std::string_view address);

}  // namespace ferry::net
