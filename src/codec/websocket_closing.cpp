#include "codec/websocket_closing.hpp"

#include <algorithm>

namespace ferry::codec {

closing_action websocket_closing::close(std::uint16_t code, time_point now) noexcept {
  if (state_ != state::open) return closing_action::none;
  start(code, now);
  enter(state::asked);
  return closing_action::send_close;
}

closing_action websocket_closing::fail(std::uint16_t code, time_point now) noexcept {
  switch (state_) {
    case state::open:
      start(code, now);
      enter(state::failed);
      return closing_action::send_close_and_end;
    case state::asked: enter(state::failed); return closing_action::end_stream;  // our Close is on its way already
    case state::both:
    case state::failed:
    case state::ended: break;
  }
  return closing_action::none;
}

closing_action websocket_closing::on_close(std::uint16_t code, time_point now) noexcept {
  const bool server = role_ == websocket_role::server;
  switch (state_) {
    case state::open:
      start(code, now);
      outcome_.code = code;
      enter(state::both);
      return server ? closing_action::send_close_and_end : closing_action::send_close;
    case state::asked:
      outcome_.code = code;
      enter(state::both);
      return server ? closing_action::end_stream : closing_action::none;
    case state::both:
    case state::failed:
    case state::ended: break;
  }
  return closing_action::none;
}

closing_action websocket_closing::on_end() noexcept { return state_ == state::ended ? closing_action::none : end(); }

closing_action websocket_closing::on_timer(time_point now) noexcept {
  const auto due = next();
  return due && now >= *due ? end() : closing_action::none;
}

std::optional<time_point> websocket_closing::next() const noexcept {
  switch (state_) {
    case state::open:
    case state::ended: break;
    case state::asked:
    case state::both:
    case state::failed: return deadline_;
  }
  return std::nullopt;
}

void websocket_closing::start(std::uint16_t code, time_point now) noexcept {
  our_code_ = may_be_sent(code) ? code : websocket_close_code::none;
  deadline_ = now + std::clamp(limit_, duration::zero(), k_longest_wait);
}

closing_action websocket_closing::end() noexcept {
  outcome_.clean = state_ == state::both;
  enter(state::ended);
  return closing_action::hang_up;
}

}  // namespace ferry::codec
