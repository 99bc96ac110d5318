#pragma once
/// Takes the secrets out of an HTTP/1.1 conversation that is written down.

#include <ferry/bytes.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "codec/pcap_writer.hpp"

namespace ferry::codec {

/// The header fields whose values are secrets, in small letters. Browsers can send no Authorization with a WebSocket,
/// so that tokens come as subprotocols, and the answer repeats the chosen one.
inline constexpr std::array<std::string_view, 5> k_secret_fields{"authorization", "proxy-authorization", "cookie",
                                                                 "set-cookie", "sec-websocket-protocol"};

/// Overwrites the values of some header fields, folded lines included (RFC 9112 section 5.2), and the queries of
/// targets (RFC 3986 section 3.4) up to their '=' and '&', with as many 'x'; all other bytes, and all lengths, stay.
/// Both directions of one connection, in pieces cut anywhere. Ends where the server has agreed to another protocol
/// (status 101): what follows is no HTTP. Until then every line is looked at, the lines of bodies too, so that a body
/// cannot hide the next head.
class http_blanker {
 public:
  static constexpr std::size_t k_longest_name = 32;

  /// @param fields  names in small letters, at most k_longest_name bytes each; must outlive this
  explicit http_blanker(std::span<const std::string_view> fields = k_secret_fields) noexcept : fields_(fields) {}

  /// What came next from one side, in place. @return how many bytes, from the first, belong to HTTP: fewer than given
  /// where the protocol changed inside them
  std::size_t blank(flow_side from, mutable_bytes data) noexcept;
  /// Nothing will be overwritten any more, on either side.
  [[nodiscard]] bool over() const noexcept { return over_; }

 private:
  //  name --':'--> kept or blanked --LF--> line --space--> (goes on as before) ; --else--> name
  //  name, kept --'?', in the first line of a request--> query --space--> kept
  enum class state : std::uint8_t { line, name, kept, blanked, query };
  struct direction {
    state at = state::line;
    state before = state::kept;  // of the last line: what a folded one continues
    std::uint8_t length = 0;     // of the name so far; k_longest_name + 1: too long for any of ours
    std::uint8_t blank_end = 0;  // spaces at the end of the name so far
    bool first = true;           // the line is the first one of a head
    bool empty = true;           // the line has nothing but a CR so far
    bool switches = false;       // the head began with status 101
    std::array<char, k_longest_name> name{};
  };

  /// @return true: the head of a 101 ended with this byte
  bool step(direction& d, std::byte& b, bool answers) const noexcept;
  bool end_line(direction& d, bool answers) const noexcept;
  [[nodiscard]] bool is_wanted(const direction& d) const noexcept;

  std::span<const std::string_view> fields_;
  std::array<direction, 2> directions_{};
  bool over_ = false;
};

}  // namespace ferry::codec
