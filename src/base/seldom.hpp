#pragma once
/// What is told of something that others can bring about as often as they like.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/time.hpp"

namespace ferry {

/// One line for each interval; the others are counted. Dry: the caller brings the time.
class seldom {
 public:
  explicit seldom(duration interval) noexcept : interval_(interval) {}
  /// One more. @return how many were left out since the last line; nothing: so is this one
  [[nodiscard]] std::optional<std::uint64_t> tell(time_point now) noexcept {
    if (told_ && now - *told_ < interval_) {
      ++untold_;
      return std::nullopt;
    }
    told_ = now;
    return std::exchange(untold_, 0);
  }

 private:
  duration interval_;
  std::optional<time_point> told_;  // none: never
  std::uint64_t untold_ = 0;
};

/// The end of such a line.
[[nodiscard]] inline std::string and_more(std::uint64_t others) {
  return others == 0 ? "" : " (and " + std::to_string(others) + " more since the last such line)";
}

}  // namespace ferry
