#pragma once
/// How long to wait before the next attempt to connect.

#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace ferry::session {

struct backoff_policy {
  duration base = std::chrono::milliseconds(500);  ///< the first delay
  double factor = 1.6;                             ///< each delay is this many times the one before; at least 1
  double jitter = 0.2;                             ///< each delay is up to this share shorter or longer; 0 .. 1
  duration max_delay = std::chrono::seconds(30);   ///< no delay is longer, jitter included; at least `base`
  std::uint32_t max_attempts = 0;                  ///< attempts without success, then no more; 0: for ever
};

/// 1 s, doubling, at most 10 s, no jitter: what uds_writer waits.
inline constexpr backoff_policy k_doubling_backoff{.base = std::chrono::seconds(1),
                                                   .factor = 2,
                                                   .jitter = 0,
                                                   .max_delay = std::chrono::seconds(10),
                                                   .max_attempts = 0};

/// Delays that grow, until a connection proves itself.
/// A connection proves itself by living at least as long as the delay before it, and at least `base`; one on which
/// nothing was received or confirmed must live twice as long. So a connection that is made and lost at once, as with a
/// message that the peer will never accept, does not start the delays over.
class backoff {
 public:
  /// Values outside their ranges are brought to the nearest bound.
  explicit backoff(const backoff_policy& policy = {}) noexcept;

  /// The delay before the next attempt; nothing if the attempts are used up.
  /// @param random uniform in [0, 1).
  [[nodiscard]] std::optional<duration> next(double random) noexcept;
  /// The next delay is the first one again, and all attempts are there again.
  void reset() noexcept;

  void on_up(time_point now) noexcept { up_since_ = now; }
  /// @param heard whether anything was received or confirmed on the connection that ended.
  void on_down(time_point now, bool heard) noexcept;

  /// Delays given since the last reset.
  [[nodiscard]] std::uint32_t attempts() const noexcept { return attempts_; }

 private:
  backoff_policy policy_;
  double longest_;       // nanoseconds before jitter
  double next_ = 0;      // nanoseconds before jitter
  duration in_force_{};  // the delay given last
  time_point up_since_{};
  std::uint32_t attempts_ = 0;
};

}  // namespace ferry::session
