#pragma once
/// Messages and control frames written as WebSocket frames. Sans-I/O; one for each connection. Who masks nothing,
/// splits nothing and compresses nothing needs only encode_websocket_header(): the payload follows verbatim. Source:
/// RFC 6455, section 5.4; RFC 7692 for compressed messages.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/utf8_validator.hpp"
#include "codec/permessage_deflate.hpp"
#include "codec/websocket_frame.hpp"

namespace ferry::codec {

/// Where mask keys come from: called once for each frame. Four bytes from the system's generator each time.
struct websocket_mask_keys {
  websocket_mask_key (*next)(void* context) = nullptr;  ///< null: frames are not masked, as a server's
  void* context = nullptr;
};

struct websocket_encoder_options {
  websocket_mask_keys keys;
  std::size_t fragment_above = 0;  ///< bytes of the largest payload of a frame; more goes in several; 0: no limit
  std::size_t compress_from = 64;  ///< bytes; shorter messages are not compressed. Those begun in parts always are
};

/// begin() and end() write one message in parts; control frames may be written between them, other messages not.
///
///   between --begin--> begun --append--> inside --append--> inside;   begun, inside --end--> between
class websocket_encoder {
 public:
  /// @param compress  how we compress, if that was agreed
  explicit websocket_encoder(const websocket_encoder_options& options, std::optional<deflate_direction> compress = {},
                             const message_deflater::settings& how = {}) noexcept;

  /// Most bytes that encode(), append() and end() write for `size` bytes.
  [[nodiscard]] std::size_t bound(std::size_t size) const noexcept;

  /// A whole message.
  /// @param out  bound(payload) bytes, not overlapping the payload
  /// @return bytes written | misuse: text that is not UTF-8, inside of a message; nothing was written | no_memory: the
  ///         connection cannot be written on
  [[nodiscard]] result<std::size_t> encode(const message_view& message, mutable_bytes out) noexcept;

  /// A message in parts. @return misuse: inside of a message
  [[nodiscard]] result<void> begin(message_kind kind) noexcept;
  /// The next part, as one frame or more; of an empty one nothing is written. As encode(); text may be cut anywhere.
  [[nodiscard]] result<std::size_t> append(bytes part, mutable_bytes out) noexcept;
  /// The last part, which may be empty.
  [[nodiscard]] result<std::size_t> end(bytes part, mutable_bytes out) noexcept;

  /// Between two messages.
  [[nodiscard]] bool between_messages() const noexcept { return state_ == state::between; }

  static constexpr std::size_t k_max_control_frame = 6 + k_max_websocket_control;
  /// A ping or a pong, between any two calls of the others.
  /// @param payload  its first k_max_websocket_control bytes are sent @param out  k_max_control_frame bytes
  /// @return bytes written
  [[nodiscard]] std::size_t encode_control(websocket_opcode opcode, bytes payload, std::byte* out) const noexcept;
  /// A Close; see encode_websocket_close().
  [[nodiscard]] std::size_t encode_close(std::uint16_t code, std::string_view reason, std::byte* out) const noexcept;

  /// Frees what no later message needs; between two messages.
  void settle() noexcept {
    if (deflater_ && between_messages()) deflater_->settle();
  }

 private:
  enum class state : std::uint8_t { between, begun, inside };
  void enter(state next) noexcept { state_ = next; }
  [[nodiscard]] std::size_t largest_payload() const noexcept {
    return options_.fragment_above == 0 ? SIZE_MAX : options_.fragment_above;
  }
  [[nodiscard]] std::size_t frames_for(std::size_t size) const noexcept {
    return size == 0 ? 1 : (size - 1) / largest_payload() + 1;
  }
  [[nodiscard]] result<void> check_text(bytes part, bool last) noexcept;
  [[nodiscard]] result<std::size_t> write(bytes part, bool last, mutable_bytes out) noexcept;
  [[nodiscard]] std::size_t write_frame(websocket_header header, const std::byte* payload,
                                        std::byte* out) const noexcept;

  websocket_encoder_options options_;
  std::optional<message_deflater> deflater_;
  state state_ = state::between;
  message_kind kind_ = message_kind::binary;
  bool compressed_ = false;  // the message that is being written
  utf8_validator text_;
};

}  // namespace ferry::codec
