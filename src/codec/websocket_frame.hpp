#pragma once
/// The header of a WebSocket frame, and what may be said in a Close frame. Source: RFC 6455, sections 5.2, 5.5 and 7.4.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/websocket_mask.hpp"

namespace ferry::codec {

enum class websocket_opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

[[nodiscard]] constexpr bool is_control(websocket_opcode opcode) noexcept { return opcode >= websocket_opcode::close; }
[[nodiscard]] constexpr websocket_opcode opcode_of(message_kind kind) noexcept {
  return kind == message_kind::text ? websocket_opcode::text : websocket_opcode::binary;
}

/// Close codes that this library gives itself.
namespace websocket_close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t none = 1005;      ///< the Close frame had no code; never on the wire
inline constexpr std::uint16_t abnormal = 1006;  ///< there was no Close frame; never on the wire
inline constexpr std::uint16_t invalid_data = 1007;
inline constexpr std::uint16_t policy_violation = 1008;
inline constexpr std::uint16_t too_large = 1009;
inline constexpr std::uint16_t internal_error = 1011;
}  // namespace websocket_close_code

/// What a peer did wrong, or what it ran into.
enum class websocket_fault : std::uint8_t {
  none,
  reserved_bits,          ///< RSV1 to RSV3 without an extension that gives them a meaning
  unknown_opcode,         ///< 3 to 7, 11 to 15
  fragmented_control,     ///< a control frame without FIN
  long_control,           ///< a control frame of more than 125 bytes
  length_not_minimal,     ///< a length in a longer form than it needs
  length_out_of_range,    ///< a length of 64 bits
  not_masked,             ///< a frame without the mask that this direction must have
  masked,                 ///< a frame with a mask that this direction must not have
  nothing_to_continue,    ///< a continuation outside of a message
  message_not_ended,      ///< a new message inside of a message
  invalid_utf8,           ///< in a text or in the reason of a Close
  close_payload,          ///< a Close of one byte
  close_code,             ///< a code that must not be sent
  frame_too_large,        ///< above max_frame
  message_too_large,      ///< above max_message, as sent or inflated
  corrupt_deflate,        ///< what was compressed cannot be inflated
  too_many_controls,      ///< more control frames than the limit allows
  too_many_empty_frames,  ///< more frames without payload in one message than the limit allows
  no_memory,              ///< the buffer pool is at its limit: our fault, not the peer's
};

/// The code for the Close frame that answers a fault.
[[nodiscard]] std::uint16_t close_code_for(websocket_fault fault) noexcept;
/// Of ferry's category: message_too_large, no_memory, protocol.
[[nodiscard]] errc errc_for(websocket_fault fault) noexcept;
/// One line without values: "a control frame without FIN".
[[nodiscard]] const char* to_string(websocket_fault fault) noexcept;

/// The client is who connected, and who masks.
enum class websocket_role : std::uint8_t { client, server };

/// Whether frames must have a mask. `either` is for raw mode only.
enum class websocket_mask_rule : std::uint8_t { required, forbidden, either };

/// What RFC 6455 asks of the frames that one side sends.
[[nodiscard]] constexpr websocket_mask_rule mask_rule_for(websocket_role sender) noexcept {
  return sender == websocket_role::client ? websocket_mask_rule::required : websocket_mask_rule::forbidden;
}

struct websocket_header {
  bool fin = true;
  bool rsv1 = false;  ///< first frame of a compressed message
  websocket_opcode opcode = websocket_opcode::binary;
  std::uint64_t length = 0;  ///< of the payload, below 2^63
  std::optional<websocket_mask_key> mask;
};

inline constexpr std::size_t k_max_websocket_header = 14;
inline constexpr std::size_t k_max_websocket_control = 125;  ///< bytes of a control frame's payload
inline constexpr std::size_t k_max_websocket_reason = 123;   ///< bytes of a Close frame's reason

/// Bytes of the header for a payload of `length` bytes.
[[nodiscard]] constexpr std::size_t websocket_header_size(std::uint64_t length, bool masked) noexcept {
  return 2u + (length < 126 ? 0u : length <= 0xffff ? 2u : 8u) + (masked ? 4u : 0u);
}

/// @param out  room for websocket_header_size() bytes @return that size
std::size_t encode_websocket_header(std::byte* out, const websocket_header& header) noexcept;

/// Outcome of decode_websocket_header().
struct websocket_header_read {
  std::size_t size = 0;  ///< bytes of the header as far as it is known; more than `in` has: incomplete
  websocket_fault fault = websocket_fault::none;
  websocket_header header;  ///< once it is complete
  [[nodiscard]] bool complete(bytes in) const noexcept { return fault == websocket_fault::none && size <= in.size(); }
};

/// Reads the header that `in` begins with. Says what is wrong at the first byte that shows it, and nothing about what
/// depends on the message: opcode in its place, RSV1, limits. RSV2 and RSV3 are always wrong.
[[nodiscard]] websocket_header_read decode_websocket_header(bytes in, websocket_mask_rule mask) noexcept;

/// Whether a Close frame may carry this code: 1000 to 1003, 1007 to 1014, 3000 to 4999.
[[nodiscard]] constexpr bool may_be_sent(std::uint16_t close_code) noexcept {
  return (close_code >= 1000 && close_code <= 1003) || (close_code >= 1007 && close_code <= 1014) ||
         (close_code >= 3000 && close_code <= 4999);
}

/// What a Close frame says.
struct websocket_close {
  std::uint16_t code = websocket_close_code::none;
  std::string_view reason;  ///< UTF-8; a view of the payload
  websocket_fault fault = websocket_fault::none;
};

/// @param payload  unmasked
[[nodiscard]] websocket_close decode_websocket_close(bytes payload) noexcept;

/// The payload of a Close frame, without its header. A reason that is too long is cut between two characters; without
/// a code that may be sent, the payload is empty.
/// @param out  k_max_websocket_control bytes @param reason  UTF-8 @return bytes written
std::size_t encode_websocket_close(std::byte* out, std::uint16_t code, std::string_view reason) noexcept;

}  // namespace ferry::codec
