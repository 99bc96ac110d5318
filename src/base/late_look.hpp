#pragma once
/// Deadlines of others, for a thread that may be late itself.

#include <algorithm>
#include <optional>
#include <utility>

#include "base/time.hpp"

namespace ferry {

/// Who looks at deadlines late was busy, or did not run, as a process that was stopped: what came meanwhile, and was
/// not read, is no silence. Such a look is put off once, so that it can be read. Dry: the caller brings the time.
class late_look {
 public:
  static constexpr duration k_late = std::chrono::milliseconds(50);
  static constexpr duration k_most_grace = std::chrono::seconds(1);

  /// @param due  when the look was to be @return when to look instead, as much later as this one is, k_most_grace at
  /// most; nothing: deadlines count now
  [[nodiscard]] std::optional<time_point> put_off(time_point due, time_point now) noexcept {
    if (now - due > k_late && !std::exchange(was_late_, true)) return now + std::min<duration>(now - due, k_most_grace);
    was_late_ = false;
    return std::nullopt;
  }

 private:
  bool was_late_ = false;  // the last one was put off
};

}  // namespace ferry
