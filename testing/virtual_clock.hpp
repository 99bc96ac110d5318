#pragma once
/// Time that a test moves by hand, for code that takes `now` as an argument.

#include <chrono>

namespace ferry::test {

/// Starts at a point that is not zero, so that "zero means never" cannot pass by accident; never goes back.
class virtual_clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  [[nodiscard]] time_point now() const noexcept { return now_; }
  /// Moves on by `step` >= 0; returns the new time.
  time_point advance(duration step) noexcept { return now_ += step; }
  /// Moves on to `when`; stays where it is if that has passed.
  time_point advance_to(time_point when) noexcept { return now_ = when > now_ ? when : now_; }

 private:
  time_point now_{std::chrono::hours(1)};
};

}  // namespace ferry::test
