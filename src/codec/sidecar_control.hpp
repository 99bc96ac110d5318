#pragma once
/// The 16 bytes before each control message between a service and its sidecar. Sans-I/O: bytes in, views out.
/// Source: docs/sidecar.md.
///
///     i32 id (101 .. 59999), i32 head size (bytes of protobuf), i32 message size (16 + those), i32 flag (0); little
///     endian; then the protobuf message. A message may be longer than 16 + head size: what is behind is not looked at.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>

namespace ferry::codec::sidecar {

inline constexpr std::size_t k_control_header_bytes = 16;
inline constexpr std::int32_t k_min_control_id = 101;
inline constexpr std::int32_t k_max_control_id = 59999;
inline constexpr std::size_t k_max_control_message = 10u << 20;  ///< header included

/// Outcome of control_decoder::next(). consumed == 0 asks for a longer prefix of the same input.
struct control_message {
  std::size_t consumed = 0;  ///< bytes of the input that this message took; 0: incomplete
  std::size_t total = 0;     ///< size of the whole message once its header is there; else 0
  std::int32_t id = 0;
  bytes head;  ///< the protobuf message; may be empty; valid as long as the input
};

class control_decoder {
 public:
  /// @param max_message  largest message size that is accepted, header included; the page's limit is an upper bound
  explicit control_decoder(std::size_t max_message = k_max_control_message) noexcept
      : max_message_(max_message < k_max_control_message ? max_message : k_max_control_message) {}

  /// The first message of `in`; reads nothing outside of it. @return a message, or the wish for more, or, as soon as
  /// the header is there: protocol (id, sizes or flag are not possible) | message_too_large. After an error the stream
  /// cannot be read on.
  [[nodiscard]] result<control_message> next(bytes in) const noexcept;

 private:
  std::size_t max_message_;
};

/// Writes the k_control_header_bytes before a protobuf message.
/// @param head_bytes  of the protobuf message, at most k_max_control_message - k_control_header_bytes
void store_control_header(std::byte* to, std::int32_t id, std::size_t head_bytes) noexcept;

}  // namespace ferry::codec::sidecar
