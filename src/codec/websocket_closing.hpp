#pragma once
/// How a WebSocket connection ends: a Close from each side, then the end of the stream, which the server makes first so
/// that no port of a client waits. Dry: says what to do, is told what happened. Source: RFC 6455, section 7.

#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "codec/websocket_frame.hpp"

namespace ferry::codec {

enum class closing_action : std::uint8_t {
  none,
  send_close,          ///< a Close with code_to_send(), behind what is queued
  end_stream,          ///< end our direction of the stream (FIN, close_notify), and read on until the peer's end
  hang_up,             ///< the connection is over: close it
  send_close_and_end,  ///< send_close, then end_stream behind it
};

/// What both sides said in the end.
struct closing_result {
  std::uint16_t code = websocket_close_code::abnormal;  ///< the peer's; 1005: it gave none; 1006: it sent no Close
  bool clean = false;  ///< both sent a Close; that one of them hears of no end of the stream does not matter
};

///   open --we close--> asked --its Close--> both --end--> ended
///   open --its Close: send_close--> both      asked, both --deadline: hang_up--> ended
///   open --a fault of the peer: send_close_and_end--> failed --end, deadline--> ended;   open --end--> ended
/// In `asked` messages of the peer still count; in `both` and `failed` what comes is read and thrown away, as a stream
/// that is closed with unread bytes is reset, and the peer may lose our Close.
class websocket_closing {
 public:
  /// @param limit  from the first Close to the end of the stream, whatever happens
  websocket_closing(websocket_role role, duration limit) noexcept : role_(role), limit_(limit) {}

  /// We want to close. @param code  1000 to 4999, as may be sent; else the Close has none
  [[nodiscard]] closing_action close(std::uint16_t code, time_point now) noexcept;
  /// The peer broke the protocol. @param code  close_code_for(fault)
  [[nodiscard]] closing_action fail(std::uint16_t code, time_point now) noexcept;
  /// The peer's Close came. @param code  1005 if it had none
  [[nodiscard]] closing_action on_close(std::uint16_t code, time_point now) noexcept;
  /// The stream ended, in order or not; there is nothing left to do but hang_up.
  [[nodiscard]] closing_action on_end() noexcept;
  /// To be called at next(), or whenever.
  [[nodiscard]] closing_action on_timer(time_point now) noexcept;
  /// When on_timer() should be called; nothing while open and once ended.
  [[nodiscard]] std::optional<time_point> next() const noexcept;

  /// What our Close says: what we gave, or the peer's code back; 1005: nothing.
  [[nodiscard]] std::uint16_t code_to_send() const noexcept { return our_code_; }
  /// Messages may be sent.
  [[nodiscard]] bool may_send() const noexcept { return state_ == state::open; }
  /// What comes still counts.
  [[nodiscard]] bool may_receive() const noexcept { return state_ == state::open || state_ == state::asked; }
  [[nodiscard]] bool ended() const noexcept { return state_ == state::ended; }
  [[nodiscard]] const closing_result& outcome() const noexcept { return outcome_; }

 private:
  enum class state : std::uint8_t { open, asked, both, failed, ended };
  void enter(state next) noexcept { state_ = next; }
  void start(std::uint16_t code, time_point now) noexcept;
  [[nodiscard]] closing_action end() noexcept;

  websocket_role role_;
  state state_ = state::open;
  std::uint16_t our_code_ = websocket_close_code::none;
  closing_result outcome_;
  duration limit_;
  time_point deadline_{};
};

}  // namespace ferry::codec
