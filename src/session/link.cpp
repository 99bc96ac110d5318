#include "session/link.hpp"

namespace ferry::session {

link_action link::on(link_event event, const link_moment& moment) noexcept {
  using enum link_event;
  switch (state_) {
    case link_state::idle:
      if (event == open) return enter(link_state::connecting, link_do::connect);
      if (event == connected) return come_up(moment.now);
      if (event == close) return enter(link_state::closed, link_do::report_closed);
      return {};
    case link_state::connecting:
      if (event == connected) return come_up(moment.now);
      if (event == failed || event == deadline) return retry(moment.random, link_do::wait, link_do::report_closed);
      if (event == close) return enter(link_state::closed, link_do::report_closed);
      return {};
    case link_state::up:
      if (event == lost || event == deadline) return go_down(moment);
      if (event == close) return enter(link_state::closing, link_do::drain);
      return {};
    case link_state::waiting:
      if (event == retry_due) return enter(link_state::connecting, link_do::connect);
      if (event == close) return enter(link_state::closed, link_do::report_closed);
      return {};
    case link_state::closing:
      if (event == drained_and_peer_ended || event == lost || event == deadline)
        return enter(link_state::closed, link_do::report_down_and_close);
      return {};
    case link_state::closed: return {};
  }
  return {};
}

link_action link::enter(link_state next, link_do what, duration delay) noexcept {
  state_ = next;
  return {what, delay};
}

link_action link::come_up(time_point now) noexcept {
  backoff_.on_up(now);
  return enter(link_state::up, link_do::report_up);
}

link_action link::go_down(const link_moment& moment) noexcept {
  backoff_.on_down(moment.now, moment.heard);
  return retry(moment.random, link_do::report_down_and_wait, link_do::report_down_and_close);
}

link_action link::retry(double random, link_do wait, link_do give_up) noexcept {
  const auto delay = reconnect_ ? backoff_.next(random) : std::nullopt;
  return delay ? enter(link_state::waiting, wait, *delay) : enter(link_state::closed, give_up);
}

const char* to_string(link_state state) noexcept {
  switch (state) {
    case link_state::idle: return "idle";
    case link_state::connecting: return "connecting";
    case link_state::up: return "up";
    case link_state::waiting: return "waiting";
    case link_state::closing: return "closing";
    case link_state::closed: return "closed";
  }
  return "unknown";
}

}  // namespace ferry::session
