#pragma once
/// The PROXY protocol, versions 1 and 2: what a balancer says in front of a connection about whose it is.
/// Source: "The PROXY protocol, versions 1 & 2" (proxy-protocol.txt of HAProxy), sections 2.1 and 2.2.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ferry::codec {

/// What the two addresses are.
enum class proxied_family : std::uint8_t {
  none,  ///< LOCAL, UNKNOWN or unspecified: the socket's own addresses are the ones
  inet,
  inet6,
  unix_socket
};

struct proxy_header {
  struct end {
    std::string host;        ///< "192.0.2.1", "2001:db8::1", "/run/a.sock", "@abstract"
    std::uint16_t port = 0;  ///< 0 for Unix sockets
    bool operator==(const end&) const = default;
  };
  proxied_family family = proxied_family::none;
  end source;       ///< the client
  end destination;  ///< what it connected to
  /// One of the two as peer_info::address has it: "192.0.2.1:80", "[2001:db8::1]:80", "/run/a.sock"; `none`: empty.
  [[nodiscard]] std::string text(const end& one) const;
  bool operator==(const proxy_header&) const = default;
};

/// Reads one header, of either version.
///   signature --"PROXY "--> line --CRLF--> whole;  signature --version 2--> block --all of it--> whole
class proxy_header_decoder {
 public:
  static constexpr std::size_t k_most_v1 = 107;        ///< bytes, by the specification
  static constexpr std::size_t k_most_v2 = 16 + 4096;  ///< bytes, of the 65 551 that it could be

  struct progress {
    std::size_t consumed = 0;  ///< bytes of this call's input that belong to the header
    bool whole = false;        ///< what follows belongs to the connection
  };
  /// The next bytes, however they were cut; not after `whole` or an error.
  /// @return protocol: this is no such header, or one that contradicts itself | corrupt: its checksum is wrong
  [[nodiscard]] result<progress> feed(bytes in);
  /// So many bytes can be read without going beyond the header: at least 1 until it is whole.
  [[nodiscard]] std::size_t wanted() const noexcept;
  /// Once it is whole.
  [[nodiscard]] const proxy_header& header() const noexcept { return header_; }

 private:
  enum class state : std::uint8_t { signature, line, block, whole };
  [[nodiscard]] result<void> take(std::byte next);
  [[nodiscard]] result<void> read_line();
  [[nodiscard]] result<void> read_block_head();
  [[nodiscard]] result<void> read_block();

  state state_ = state::signature;
  std::vector<std::byte> seen_;
  std::size_t size_ = 0;  // of the block, once its length is known
  proxy_header header_;
};

/// The header as version 1 writes it; `none` and Unix sockets as "PROXY UNKNOWN". Hosts are addresses.
/// @return bad_address: a host is not one of that family
[[nodiscard]] result<std::vector<std::byte>> encode_proxy_v1(const proxy_header& header);
/// The header as version 2 writes it, with its checksum (CRC32c); `none` as LOCAL.
/// @return bad_address: a host is not one of that family, or a path longer than 108 bytes
[[nodiscard]] result<std::vector<std::byte>> encode_proxy_v2(const proxy_header& header);

}  // namespace ferry::codec
