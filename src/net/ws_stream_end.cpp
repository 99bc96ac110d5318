// How a WebSocket stream ends: the closing handshake, and what happens after close().
#include <new>
#include <utility>

#include "net/ws_close.hpp"
#include "net/ws_stream.hpp"

namespace ferry::net {
using codec::closing_action;

ws_stream::ending& ws_stream::notes() {
  if (!ending_) ending_ = std::make_unique<ending>();
  return *ending_;
}

// Without memory the Close has none.
void ws_stream::note_reason(const char* why) noexcept {
  try {
    notes().our_reason = why;
  } catch (const std::bad_alloc&) {
  }
}

result<void> ws_stream::set_close_note(std::uint16_t code, std::string_view reason) {
  if (auto fits = check_close_note(code, reason); !fits) return fits;
  notes().our_code = code;
  notes().our_reason = reason;
  return {};
}

std::optional<close_note> ws_stream::peer_close_note() const { return ending_ ? ending_->peers : std::nullopt; }

result<void> ws_stream::shutdown_write() {
  (void)send_answer();
  if (write_fault_) return *write_fault_;
  if (!closing_.may_send()) return {};
  const auto when = now();
  const auto note = ending_ ? ending_->our_code : codec::websocket_close_code::normal;
  act(ending_ && ending_->peers ? closing_.on_close(ending_->peers->code, when) : closing_.close(note, when));
  if (write_fault_) return *write_fault_;
  return {};
}

void ws_stream::act(closing_action what) noexcept {
  (void)send_answer();
  switch (what) {
    case closing_action::none: return;
    case closing_action::hang_up: return end();
    case closing_action::send_close: return say_close();
    case closing_action::send_close_and_end: say_close(); break;
    case closing_action::end_stream: break;
  }
  end_when_out_ = true;
  finish_sending();
}

void ws_stream::finish_sending() noexcept {
  if (!end_when_out_ || frames_wait() || replies_wait()) return;
  end_when_out_ = false;
  if (!write_fault_) end_below();
}

void ws_stream::end_below() noexcept {
  try {
    (void)below_->shutdown_write();
  } catch (const std::bad_alloc&) {  // for the text of why it could not be
  }
}

void ws_stream::close() noexcept {
  events_ = nullptr;
  owner_.reset();
  into_ = {};
  readable_wanted_ = false;
  if (state_ == state::closed || state_ == state::lingering) return;
  (void)send_answer();
  const auto when = now();
  if (state_ == state::open && closing_.may_send() && !write_fault_ && !below_fault_) {
    if (ending_ && ending_->peers) {
      const bool gives_up = ending_->our_code == codec::websocket_close_code::going_away;
      act(closing_.on_close(gives_up ? ending_->our_code : ending_->peers->code, when));
    } else if (!frames_wait()) {
      // Nobody waits for what the peer says to that.
      const bool noted = ending_ && ending_->our_code != codec::websocket_close_code::normal;
      act(closing_.close(noted ? ending_->our_code : codec::websocket_close_code::going_away, when));
    }
  }
  // What the peer still sends is read, lest it loses our Close with the stream.
  const bool ends = !closing_.may_send() && !closing_.may_receive() && !closing_.ended();
  if (!ends || below_fault_ || (write_fault_ && state_ == state::open)) return end();
  shaking_.reset();
  try {
    if (!find_place()) return end();
    rules_->home.residents->add(this);
  } catch (const std::bad_alloc&) {
    return end();
  }
  state_ = state::lingering;
  arm_timer();
  try {
    if (state_ == state::lingering && !waits_below_) linger();
  } catch (const std::bad_alloc&) {
    end();
  }
}

void ws_stream::keep_place(std::shared_ptr<void> place) {
  net::keep_place(*below_, place);
  place_ = std::move(place);
}

// To linger in: its own, or one of those for who was refused.
bool ws_stream::find_place() {
  if (place_.use_count() != 0) return true;
  if (*rules_->leaving >= k_most_leaving) return false;
  *rules_->leaving += 1;
  place_ = std::shared_ptr<void>(nullptr, [leaving = rules_->leaving](void*) { *leaving -= 1; });
  return true;
}

void ws_stream::end() noexcept {
  const state before = std::exchange(state_, state::closed);
  if (before == state::closed) return;
  if (before == state::open) (void)send_answer();
  if (before == state::lingering) rules_->home.residents->remove(this);
  cancel_timer(io());
  // Over TLS the peer is told that this is the end, and no cut.
  if (!closing_.may_receive() && !write_fault_) end_below();
  below_->close();
  place_.reset();
}

}  // namespace ferry::net
