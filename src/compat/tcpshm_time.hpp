#pragma once
/// The time that a user of tcpshm's shape gives, as deadlines count it.

#include <cstdint>

namespace ferry::compat::tcpshm {

/// Goes on as far as the user's time goes forward, by any leap. While that stands still or goes back nothing passes,
/// and nothing that has passed is taken back: silence of before counts, and a heartbeat is not put off.
class user_time {
 public:
  user_time() noexcept = default;
  explicit user_time(std::int64_t now) noexcept : last_(now) {}

  /// @return what has passed in all
  std::uint64_t passed(std::int64_t now) noexcept {
    if (now > last_) passed_ += static_cast<std::uint64_t>(now) - static_cast<std::uint64_t>(last_);
    last_ = now;
    return passed_;
  }

 private:
  std::int64_t last_ = 0;
  std::uint64_t passed_ = 0;
};

/// Whether so much has passed between the two; both are of one user_time.
[[nodiscard]] constexpr bool has_passed(std::uint64_t since, std::uint64_t now, std::int64_t span) noexcept {
  return span <= 0 || now - since >= static_cast<std::uint64_t>(span);
}

}  // namespace ferry::compat::tcpshm
