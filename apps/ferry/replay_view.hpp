#pragma once
/// What of two runs of the same conversation can be compared.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "codec/http_blanker.hpp"

namespace ferry::app {

/// The fields of HTTP's heads that are other ones each time, in small letters: secrets are blank in a capture; dates
/// and keys are made anew.
inline constexpr std::array<std::string_view, 8> k_other_each_time{
    "authorization",     "proxy-authorization", "cookie", "set-cookie", "sec-websocket-protocol", "date",
    "sec-websocket-key", "sec-websocket-accept"};

/// Takes the masks off the frames of one direction of a WebSocket (RFC 6455 section 5.3), which are other ones each
/// time: the key becomes zero. Pieces may be cut anywhere. Frames are not checked; after something that is none, what
/// comes out is of no use, and no worse than what went in.
class unmasker {
 public:
  void pass(mutable_bytes data) noexcept;

 private:
  //  first --> second --> length (0, 2 or 8 bytes) --> key (if masked) --> payload --> first
  enum class state : std::uint8_t { first, second, length, key, payload };
  void enter_payload() noexcept;

  state at_ = state::first;
  bool masked_ = false;
  std::uint8_t missing_ = 0;  // bytes of the length or key
  std::uint64_t left_ = 0;    // of the payload
  std::array<std::byte, 4> key_{};
  std::uint8_t turn_ = 0;  // of the key
};

/// Both directions of one connection, in the order in which they came.
class replay_view {
 public:
  enum class protocol : std::uint8_t { plain, websocket, http_then_websocket };
  explicit replay_view(protocol spoken) noexcept;

  /// Changes what must not count to something fixed.
  void pass(codec::flow_side from, mutable_bytes data) noexcept;

 private:
  bool http_;
  bool frames_;
  codec::http_blanker blanker_;
  std::array<unmasker, 2> unmaskers_;
};

}  // namespace ferry::app
