#pragma once
/// Endpoint URLs: SCHEME://WHERE?OPTIONS.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry {

/// A URL taken apart, its percent-encoding undone.
struct endpoint {
  std::string scheme;      ///< lower case
  std::string host;        ///< tcp: name, IPv4, IPv6 without brackets (zone kept: fe80::1%eth0), "*" or empty: all
  std::uint16_t port = 0;  ///< tcp; 0: any (listening only)
  std::string path;        ///< ipc: "/run/a.sock", or "@name" for an abstract one; inproc, shm: the name
  std::vector<std::pair<std::string, std::string>> query;  ///< in order, decoded

  /// The URL again, without the options; what is printed for people.
  [[nodiscard]] std::string text() const;
};

/// Takes a URL apart and, unless the query belongs to the request (ws, wss), applies its options to `target`.
/// @param known_schemes  the registered ones, for the suggestion in the text of errc::unknown_scheme
/// @return errc::bad_url | errc::unknown_scheme | errc::unknown_option | errc::bad_option; each text says what to write
/// instead
[[nodiscard]] result<endpoint> parse_url(std::string_view url, options& target,
                                         std::span<const std::string> known_schemes);

}  // namespace ferry
