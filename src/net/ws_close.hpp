#pragma once
/// What a Close means for whoever reads it, and what it may say.

#include <ferry/error.hpp>
#include <ferry/stream.hpp>

namespace ferry::net {

/// end_of_stream where the peer ended in order: 1000, 1001, none, and what applications define (3000 .. 4999). Else
/// message_too_large (1009) | protocol (1002, 1003, 1007, 1008, 1010) | reset. The text names code and reason: "the
/// peer closed the WebSocket: 1001 going away".
[[nodiscard]] error peer_closed(const close_note& says);

/// Whether we may say so. @return misuse
[[nodiscard]] result<void> check_close_note(std::uint16_t code, std::string_view reason);

}  // namespace ferry::net
