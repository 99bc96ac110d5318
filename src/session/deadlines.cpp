#include "session/deadlines.hpp"

#include <algorithm>

namespace ferry::session {

const char* to_string(deadline which) noexcept {
  switch (which) {
    case deadline::connect: return "connect";
    case deadline::write: return "write";
    case deadline::read_idle: return "read idle";
    case deadline::write_idle: return "write idle";
    case deadline::idle: return "idle";
    case deadline::close: return "close";
    case deadline::away: return "away";
  }
  return "unknown";
}

std::optional<deadlines::expiry> deadlines::earliest(const deadline_limits& limits) const noexcept {
  std::optional<expiry> first;
  const auto consider = [&first](deadline which, duration limit, time_point since) {
    // A limit that reaches beyond the end of time never passes.
    if (limit <= duration::zero() || limit > time_point::max() - std::max(since, time_point{})) return;
    if (!first || since + limit < first->when) first = expiry{since + limit, which};
  };
  const auto consider_write = [&] {
    if (pending_) consider(deadline::write, limits.write, std::max(pending_since_, last_write_));
  };
  switch (phase_) {
    case phase::down: break;
    case phase::connecting: consider(deadline::connect, limits.connect, began_); break;
    case phase::away:
      if (!closing_) consider(deadline::away, limits.away, began_);
      break;
    case phase::up:
      consider_write();
      if (closing_) break;
      consider(deadline::read_idle, limits.read_idle, last_read_);
      consider(deadline::write_idle, limits.write_idle, last_write_);
      consider(deadline::idle, limits.idle, std::max(last_read_, last_write_));
      break;
  }
  if (closing_)
    consider(deadline::close, close_within_ >= duration::zero() ? close_within_ : limits.close, closing_since_);
  return first;
}

std::optional<time_point> deadlines::next(const deadline_limits& limits) const noexcept {
  const auto first = earliest(limits);
  return first ? std::optional(first->when) : std::nullopt;
}

std::optional<deadline> deadlines::check(const deadline_limits& limits, time_point now) const noexcept {
  const auto first = earliest(limits);
  return first && first->when <= now ? std::optional(first->which) : std::nullopt;
}

}  // namespace ferry::session
