#include "session/heartbeat.hpp"

#include <algorithm>

namespace ferry::session {
heartbeat::heartbeat(const heartbeat_options& options) noexcept
    : interval_(std::min(options.interval, k_longest_wait)),
      timeout_(std::clamp(options.timeout, duration::zero(), k_longest_wait)),
      max_misses_(std::max<std::uint32_t>(options.max_misses, 1)) {
  if (timeout_ == duration::zero()) timeout_ = interval_;
}

void heartbeat::on_up(time_point now) noexcept {
  last_sent_ = last_sign_ = now;
  misses_ = questions_ = 0;
  enter(timeout_ > duration::zero() ? state::quiet : state::off);
}

bool heartbeat::ask_now(time_point now) noexcept {
  if (state_ != state::quiet) return false;
  ask(now);
  return true;
}

void heartbeat::on_answer(time_point now) noexcept {
  on_received(now);
  if (state_ != state::asked) return;
  if (questions_ == 1) round_trip_ = now - asked_;
  questions_ = 0;
  enter(state::quiet);
}

heartbeat_action heartbeat::on_timer(time_point now) noexcept {
  const auto due = next();
  if (!due || now < *due) return heartbeat_action::none;
  switch (state_) {
    case state::off:
    case state::dead: break;
    case state::quiet: ask(now); return heartbeat_action::ask;
    case state::asked: return miss(now);
  }
  return heartbeat_action::none;
}

std::optional<time_point> heartbeat::next() const noexcept {
  switch (state_) {
    case state::off:
    case state::dead: break;
    case state::quiet:
      if (interval_ <= duration::zero()) break;
      return last_sent_ + interval_;
    case state::asked: return std::max(asked_, last_sign_) + timeout_;
  }
  return std::nullopt;
}

void heartbeat::ask(time_point now) noexcept {
  asked_ = last_sent_ = now;
  ++questions_;
  enter(state::asked);
}

heartbeat_action heartbeat::miss(time_point now) noexcept {
  if (++misses_ >= max_misses_) {
    enter(state::dead);
    return heartbeat_action::dead;
  }
  ask(now);
  return heartbeat_action::ask;
}

}  // namespace ferry::session
