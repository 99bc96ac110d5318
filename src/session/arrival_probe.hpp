#pragma once
/// When to ask whether the last of what was sent has arrived, where the peer says nothing of it by itself.

#include <array>
#include <cstddef>
#include <optional>

#include "base/time.hpp"

namespace ferry::session {

///     settled --on_sent--> open --an answer, or the last question was asked--> settled
/// Dry: the caller brings the time, and asks.
class arrival_probe {
 public:
  /// Of silence, until each question.
  static constexpr std::array<duration, 3> k_after{std::chrono::seconds(1), std::chrono::seconds(2),
                                                   std::chrono::seconds(4)};

  /// Something was sent, which may be lost: questions begin anew.
  void on_sent(time_point now) noexcept {
    sent_ = now;
    asked_ = 0;
  }
  /// All of it has arrived, or nothing can be done about it any more.
  void settle() noexcept { asked_ = k_after.size(); }

  /// When on_timer() should be called; nothing while it is settled. What is sent may move it to later.
  [[nodiscard]] std::optional<time_point> next() const noexcept {
    if (asked_ == k_after.size()) return std::nullopt;
    return sent_ + k_after[asked_];
  }
  /// To be called at next(), or whenever. @return whether to ask now
  [[nodiscard]] bool on_timer(time_point now) noexcept {
    const auto due = next();
    if (!due || now < *due) return false;
    ++asked_;
    return true;
  }

 private:
  time_point sent_{};
  std::size_t asked_ = k_after.size();  // questions; all of them: settled
};

}  // namespace ferry::session
