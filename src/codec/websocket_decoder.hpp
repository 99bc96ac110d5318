#pragma once
/// What a WebSocket peer sends, taken apart: messages, pings, pongs, the Close. Sans-I/O: bytes in, events out; one for
/// each connection. Source: RFC 6455, sections 5 to 8; RFC 7692 for compressed messages.

#include <ferry/buffer_pool.hpp>
#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/allowance.hpp"
#include "base/time.hpp"
#include "base/utf8_validator.hpp"
#include "codec/permessage_deflate.hpp"
#include "codec/websocket_frame.hpp"

namespace ferry::codec {

enum class websocket_delivery : std::uint8_t {
  whole,  ///< a message is one event
  pieces  ///< a message is one or more events, as its bytes come; nothing is gathered
};

struct websocket_decoder_options {
  websocket_mask_rule mask = websocket_mask_rule::required;  ///< what the peer must do
  websocket_delivery delivery = websocket_delivery::whole;
  std::size_t max_frame = std::size_t{10} << 20;    ///< bytes of the payload of one frame, as sent
  std::size_t max_message = std::size_t{10} << 20;  ///< bytes of a message, inflated; compressed it may have twice as
                                                    ///< many and 1 KiB, so that splitting it finely is possible
  std::uint32_t max_empty_frames = 1024;  ///< frames of one message, all but the last, that may be without payload
  /// Control frames are paid for by time: this many at once, then one for each interval. 0 as interval: no limit.
  std::uint32_t control_burst = 1000;
  duration control_interval = std::chrono::milliseconds(10);
};

enum class websocket_event_kind : std::uint8_t {
  need_more,  ///< nothing yet
  message,    ///< a whole message
  piece,      ///< a part of a message
  ping,       ///< to be answered by a pong with the same payload
  pong,
  close,  ///< the peer's Close; nothing that comes behind it is looked at
};

struct websocket_event {
  websocket_event_kind what = websocket_event_kind::need_more;
  /// Bytes of the input that are used up, with every kind of event; the next call begins behind them.
  std::size_t consumed = 0;
  /// need_more: there is no event before so many bytes, from the first unused one on, are shown at once; 0: any more
  /// bytes will do. Comes from the peer, below max_frame: room is to be made for what really came.
  std::size_t wanted = 0;
  /// message, piece: kind and payload. ping, pong: payload. close: the reason. Unmasked, inflated, text is UTF-8; a
  /// piece of text may end inside a character. Valid until the next call, and as long as the input.
  message_view message;
  bool first = false;            ///< piece: the first of its message
  bool last = false;             ///< piece: the last of its message; it may be empty
  std::uint16_t close_code = 0;  ///< close: the code, 1005 if there was none
};

///                  --data frame--> payload --end of frame--> header     payload --end of a compressed message--> tail
///   header --close--> closed                                            tail --inflated--> header
///   header, payload, tail --fault--> failed, for good
/// Control frames are taken whole in `header`.
class websocket_decoder {
 public:
  /// @param pool     lends the room for messages that came in several frames or compressed; outlives the decoder
  /// @param options  outlive it too: they are the same for all connections of a listener
  /// @param inflate  how the peer compresses, if that was agreed; else RSV1 is a fault
  websocket_decoder(buffer_pool& pool, const websocket_decoder_options& options,
                    std::optional<deflate_direction> inflate = {});
  websocket_decoder(buffer_pool& pool, websocket_decoder_options&& options,
                    std::optional<deflate_direction> inflate = {}) = delete;

  /// The next event. Call with what is left behind `consumed` until it says need_more; then with more behind it.
  /// A message in one frame is seen in place and copied nowhere; for it the whole frame must be shown. What need_more
  /// has left may be moved, but not changed: it is unmasked in place, and remembered how far.
  /// Bytes are judged as they are shown, in order: how they are cut does not change what comes out, and a fault is
  /// found at its first byte.
  /// @param in   unused bytes of the last call, then new ones; written to
  /// @param now  pays for control frames
  /// @return protocol | message_too_large | no_memory: fault() tells which, close_code_for() what to answer. The
  ///         stream cannot be read on; every later call fails alike.
  [[nodiscard]] result<websocket_event> next(mutable_bytes in, time_point now) noexcept;

  /// The same, for less, where the next event is a message of one frame that is here as a whole and lies in `in`: for
  /// nearly all of them.
  /// @return bytes that are used up; 0: it is anything else, which next() tells
  [[nodiscard]] std::size_t next_whole(mutable_bytes in, message_view& out) noexcept;

  [[nodiscard]] websocket_fault fault() const noexcept { return fault_; }
  /// Between two messages, and between two frames. If the stream ends elsewhere, or with unused bytes, it is truncated.
  [[nodiscard]] bool between_messages() const noexcept { return state_ != state::payload && route_ == route::none; }
  /// Nothing of a message is held, so that without bytes there is no event.
  [[nodiscard]] bool rests() const noexcept { return state_ == state::header && route_ == route::none; }
  /// Gives back what no later message needs; between two messages. What was delivered last is gone.
  void settle() noexcept;

 private:
  enum class state : std::uint8_t { header, payload, tail, closed, failed };
  /// The way of a message's payload to the caller.
  enum class route : std::uint8_t {
    none,       ///< no message is open
    in_place,   ///< one frame, delivered where it lies
    assembled,  ///< several frames, copied together
    streamed,   ///< pieces, delivered where they lie
    inflated    ///< through the inflater into our buffer
  };
  enum class outcome : std::uint8_t { go_on, event, failed };

  [[nodiscard]] outcome on_header(mutable_bytes in, time_point now, websocket_event& out) noexcept;
  [[nodiscard]] outcome on_control(mutable_bytes payload, websocket_opcode opcode, time_point now,
                                   websocket_event& out) noexcept;
  [[nodiscard]] outcome on_data_header(const websocket_header& header) noexcept;
  [[nodiscard]] outcome on_payload(mutable_bytes in, websocket_event& out) noexcept;
  [[nodiscard]] outcome on_in_place(bytes available, websocket_event& out) noexcept;
  [[nodiscard]] outcome on_assembled(bytes available, websocket_event& out) noexcept;
  [[nodiscard]] outcome on_streamed(bytes available, websocket_event& out) noexcept;
  [[nodiscard]] outcome on_inflated(bytes available, websocket_event& out) noexcept;
  [[nodiscard]] outcome on_tail(websocket_event& out) noexcept;

  [[nodiscard]] websocket_fault place_fault(std::byte first) const noexcept;
  [[nodiscard]] outcome check_limits(const websocket_header& header) noexcept;
  [[nodiscard]] outcome check_text(bytes part) noexcept;
  [[nodiscard]] outcome inflated(const result<message_inflater::progress>& step) noexcept;
  [[nodiscard]] bool make_room() noexcept;
  [[nodiscard]] bool reserve(std::size_t size) noexcept;
  [[nodiscard]] outcome deliver_held(websocket_event& out, bool last) noexcept;
  [[nodiscard]] outcome end_message() noexcept;
  void end_frame() noexcept;
  [[nodiscard]] outcome fail(websocket_fault fault, std::uint64_t value = 0, std::uint64_t limit = 0) noexcept;
  [[nodiscard]] error failure() const noexcept;
  void enter(state next) noexcept { state_ = next; }

  buffer_pool* pool_;
  const websocket_decoder_options* options_;
  std::unique_ptr<message_inflater> inflater_;  // where compression was agreed
  allowance controls_;

  // The frame.
  std::uint64_t frame_left_ = 0;  // bytes of its payload that are not consumed
  std::size_t ready_ = 0;         // of them, shown and unmasked already
  websocket_mask_key key_{};
  std::uint8_t key_offset_ = 0;
  bool final_frame_ = false;
  bool masked_ = false;

  // The message.
  route route_ = route::none;
  message_kind kind_ = message_kind::binary;
  bool begun_ = false;                // a piece of it was delivered
  bool handed_out_ = false;           // what is held was delivered, and is gone with the next call
  std::uint64_t payload_bytes_ = 0;   // as sent
  std::uint64_t inflated_bytes_ = 0;  // inflated so far
  bool inflater_holds_ = false;       // it filled our buffer: more may wait in it, also when all input is used up
  std::uint32_t empty_frames_ = 0;
  utf8_validator text_;
  std::uint64_t text_bytes_ = 0;  // that were good
  pooled_buffer held_;
  std::size_t held_bytes_ = 0;

  state state_ = state::header;
  websocket_fault fault_ = websocket_fault::none;
  std::uint64_t fault_value_ = 0;
  std::uint64_t fault_limit_ = 0;
};

}  // namespace ferry::codec
