#pragma once
/// What a channel writes, turned into WebSocket frames: messages in parts framing come in, cut anywhere, and frames go
/// out. Nothing is gathered: a payload is sent on as it comes, so a message may be larger than any buffer. Sans-I/O.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "codec/websocket_encoder.hpp"

namespace ferry::net {

/// Bytes in several pieces, used up from the front.
class ws_input {
 public:
  explicit ws_input(std::span<const bytes> parts, std::size_t skip = 0) noexcept : parts_(parts) { advance(skip); }
  [[nodiscard]] bool empty() const noexcept { return parts_.empty(); }
  /// What lies together at the front; not empty().
  [[nodiscard]] bytes front() const noexcept { return parts_.front().subspan(at_); }
  [[nodiscard]] std::size_t size() const noexcept;
  void advance(std::size_t n) noexcept {
    at_ += n;
    while (!parts_.empty() && at_ >= parts_.front().size()) {
      at_ -= parts_.front().size();
      parts_ = parts_.subspan(1);
    }
  }

 private:
  std::span<const bytes> parts_;  // the first one has more than at_ bytes
  std::size_t at_ = 0;
};

struct ws_output_options {
  bool mask = false;               ///< as a client's frames are
  std::size_t fragment_above = 0;  ///< bytes of the largest payload of a frame; 0: no limit
  std::optional<codec::deflate_direction> compress;
};

///   header --8 bytes--> frame (its header is written) --payload--> header, or frame again
class ws_output {
 public:
  explicit ws_output(const ws_output_options& with);

  struct step {
    std::size_t taken = 0;    ///< bytes of the input that are in what was written
    std::size_t written = 0;  ///< bytes of `out`
    bytes view;  ///< input that follows what was written, as it is; not taken until view_sent() says how much
    std::optional<error> fault;  ///< no_memory of the compressor: nothing more can be written
  };
  /// Takes as much input as finds room.
  /// @param in   bytes that parts_framing made; advanced by `taken` @param out  at least k_min_room bytes
  [[nodiscard]] step write(ws_input& in, mutable_bytes out) noexcept;
  /// One whole message in one frame, where that can be and nothing is under way. @return bytes of `out`; 0: it cannot
  [[nodiscard]] std::size_t write_alone(const message_view& m, mutable_bytes out) const noexcept;
  /// The first `n` bytes of the last step's view were sent.
  void view_sent(std::size_t n) noexcept { advance_payload(n); }
  /// A control frame may be written now.
  [[nodiscard]] bool between_frames() const noexcept { return frame_left_ == 0; }
  [[nodiscard]] bool masks() const noexcept { return mask_; }

  static constexpr std::size_t k_min_room = 512;

 private:
  /// Bytes of the smallest payload that write_whole() leaves.
  [[nodiscard]] std::size_t too_long() const noexcept;
  [[nodiscard]] std::size_t put_frame(message_kind kind, bytes payload, std::byte* to) const noexcept;
  void write_whole(ws_input& in, mutable_bytes out, step& done) noexcept;
  [[nodiscard]] bool take_header(ws_input& in, step& done) noexcept;
  [[nodiscard]] std::size_t begin_frame(std::byte* out) noexcept;
  void advance_payload(std::size_t n) noexcept;
  /// @return false: no more room
  [[nodiscard]] bool write_plain(ws_input& in, mutable_bytes out, step& done) noexcept;
  [[nodiscard]] bool write_compressed(ws_input& in, mutable_bytes out, step& done) noexcept;

  std::uint64_t message_left_ = 0;  // bytes of the part that have not come
  std::uint64_t frame_left_ = 0;    // of them, in the frame whose header is written
  std::size_t fragment_above_;
  std::unique_ptr<codec::websocket_encoder> compressor_;  // where compression was agreed
  codec::websocket_mask_key key_{};
  std::uint8_t key_offset_ = 0;
  std::uint8_t header_bytes_ = 0;  // of header_ that have come
  bool mask_;
  bool frame_due_ = false;  // a frame's header is to be written, though nothing of it may follow
  bool begins_ = true;      // the next frame is the first of its message
  std::array<std::byte, 8> header_{};
};

/// A key for one frame, from the system's generator.
[[nodiscard]] codec::websocket_mask_key ws_mask_key(void* = nullptr) noexcept;

}  // namespace ferry::net
