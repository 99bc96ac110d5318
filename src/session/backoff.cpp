#include "session/backoff.hpp"

#include <algorithm>

namespace ferry::session {

backoff::backoff(const backoff_policy& policy) noexcept : policy_(policy) {
  policy_.base = std::clamp(policy_.base, duration::zero(), k_longest_wait);
  policy_.factor = std::max(policy_.factor, 1.0);
  policy_.jitter = std::clamp(policy_.jitter, 0.0, 1.0);
  policy_.max_delay = std::clamp(policy_.max_delay, policy_.base, k_longest_wait);
  // Jitter stays whole at the longest delay: a crowd that waits for the same peer must not come back as one.
  longest_ = static_cast<double>(policy_.max_delay.count()) / (1 + policy_.jitter);
  reset();
}

std::optional<duration> backoff::next(double random) noexcept {
  if (policy_.max_attempts != 0 && attempts_ >= policy_.max_attempts) return std::nullopt;
  if (attempts_ < UINT32_MAX) ++attempts_;
  const auto spread = policy_.jitter * (2 * std::clamp(random, 0.0, 1.0) - 1);
  in_force_ = duration(static_cast<duration::rep>(next_ * (1 + spread)));
  next_ = std::min(next_ * policy_.factor, longest_);
  return in_force_;
}

void backoff::reset() noexcept {
  next_ = std::min(static_cast<double>(policy_.base.count()), longest_);
  in_force_ = duration::zero();
  attempts_ = 0;
}

void backoff::on_down(time_point now, bool heard) noexcept {
  const auto needed = std::max(in_force_, policy_.base);
  const auto lived = now - up_since_;
  if (heard ? lived >= needed : lived / 2 >= needed) reset();
}

}  // namespace ferry::session
