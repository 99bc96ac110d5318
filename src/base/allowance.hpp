#pragma once
/// What a peer may ask for as often as it likes, if it has the time.

#include <cstdint>

#include "base/time.hpp"

namespace ferry {

/// So many at once, then one for each interval. Dry: the caller brings the time.
class allowance {
 public:
  /// One more. Takes one interval of time that has not come yet; only so many may be taken in advance.
  /// @param burst  how many at once, 1 .. @param interval  0 or less: no limit @return false: that is too often
  [[nodiscard]] bool take(time_point now, std::uint32_t burst, duration interval) noexcept {
    if (interval <= duration::zero()) return true;
    const auto from = paid_ > now ? paid_ : now;
    if ((from - now) / interval >= burst) return false;
    paid_ = from + interval;
    return true;
  }

 private:
  time_point paid_{};
};

}  // namespace ferry
