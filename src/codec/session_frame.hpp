#pragma once
/// How the messages of a persistent session lie in a stream, behind the logins. Sans-I/O. 16 bytes of header, then the
/// payload:
///   bytes 0..3   length of the payload, little endian; 0 but for messages
///   bytes 4..5   type of the message, little endian; 0 but for messages
///   byte  6      what it is: session_frame_kind
///   byte  7      reserved: 0
///   bytes 8..15  number of the next message that the sender of this frame wants: everything before it was consumed
/// Source: docs/sessions.md.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <string>

#include "base/endian.hpp"
#include "codec/framing.hpp"

namespace ferry::codec {

enum class session_frame_kind : std::uint8_t {
  binary = 0,
  text = 1,
  acknowledgement = 2,  ///< nothing but the number
  question = 3,         ///< is anybody there? Wants an acknowledgement
  end = 4,              ///< its sender ends this direction in order; everything that it sent was acknowledged
};

/// What one frame says.
struct session_message {
  session_frame_kind what = session_frame_kind::acknowledgement;
  std::uint64_t ack = 0;
  message_view view;  ///< of binary and text
  [[nodiscard]] bool carries_message() const noexcept { return what <= session_frame_kind::text; }
};

/// As codec::frame.
struct session_frame {
  std::size_t consumed = 0;
  std::size_t total = 0;
  session_message message;
};

class session_framing {
 public:
  static constexpr std::size_t k_header = 16;

  /// @param max_message  bytes of the largest payload that next() accepts
  explicit session_framing(std::size_t max_message) noexcept : max_message_(max_message) {}

  /// The first frame of `in`. @return message_too_large | protocol
  [[nodiscard]] result<session_frame> next(bytes in) const noexcept {
    if (in.size() < k_header) return session_frame{};
    const auto length = load_le<std::uint32_t>(in.data());
    const auto type = load_le<std::uint16_t>(in.data() + 4);
    const auto what = static_cast<session_frame_kind>(in[6]);
    if (length > max_message_) return detail::message_too_large(length, max_message_);
    const bool carries = what <= session_frame_kind::text;
    if (what > session_frame_kind::end || in[7] != std::byte{0} || (!carries && (length != 0 || type != 0)))
      return malformed(in[6], in[7]);
    session_frame frame;
    frame.total = k_header + length;
    if (in.size() < frame.total) return frame;
    frame.consumed = frame.total;
    frame.message.what = what;
    frame.message.ack = load_le<std::uint64_t>(in.data() + 8);
    if (carries) frame.message.view = {in.subspan(k_header, length), static_cast<message_kind>(what), type};
    return frame;
  }

  /// @param out  k_header bytes @param length  of the payload that follows
  static void encode_header(std::byte* out, session_frame_kind what, std::uint64_t ack, std::size_t length = 0,
                            std::uint16_t type = 0) noexcept {
    store_le(out, static_cast<std::uint32_t>(length));
    store_le(out + 4, type);
    out[6] = static_cast<std::byte>(what);
    out[7] = std::byte{0};
    store_le(out + 8, ack);
  }

 private:
  [[nodiscard]] static error malformed(std::byte what, std::byte reserved) noexcept;

  std::size_t max_message_;
};

}  // namespace ferry::codec
