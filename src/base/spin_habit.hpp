#pragma once
/// Whether it pays to look for more work for a while before sleeping.

#include <algorithm>
#include <cstdint>

#include "base/time.hpp"

namespace ferry {

/// Looks as long as something comes more than four times out of five; where it does not, lets so many sleeps pass
/// before it tries again, twice as many each time. So what looking in vain costs is bounded: where nothing ever comes
/// in time, or cannot because who would send it needs this core, it is one look for k_most_passed sleeps.
///
/// Who looks does not sleep, so where others want its core too they share it by slices of milliseconds, in which it
/// hears nothing; who sleeps is let in as soon as it is woken. So who loses its core looks no more for a while: for
/// k_least_rest, as a virtual machine may be held up now and then though nobody wants the core, and for twice as long
/// each time that it is lost again soon, up to k_most_rest. Dry: the caller brings the time.
class spin_habit {
 public:
  static constexpr duration k_lost = std::chrono::milliseconds(1);  ///< of no time of its own: it has lost its core
  static constexpr duration k_least_rest = std::chrono::milliseconds(4), k_most_rest = std::chrono::seconds(1);
  static constexpr std::uint32_t k_least_passed = 16, k_most_passed = 1024;

  /// There is nothing left to do. @return true: look for more, then say what came of it; false: sleep
  [[nodiscard]] bool look(time_point now) noexcept {
    if (now < rest_until_) return false;
    if (to_pass_ == 0) return true;
    --to_pass_;
    return false;
  }
  /// It looks, and did so before. @return false: it lost its core meanwhile; sleep
  [[nodiscard]] bool look_on(time_point before, time_point now) noexcept {
    if (now - before < k_lost) return true;
    const bool soon = now - rest_until_ < k_soon * rest_;
    rest_ = soon ? std::min(2 * rest_, k_most_rest) : k_least_rest;
    rest_until_ = now + rest_;
    return false;
  }
  /// Something came while it looked.
  void came() noexcept {
    credit_ = std::min(credit_ + 1, k_most_credit);
    if (credit_ == k_most_credit) next_pass_ = k_least_passed;
  }
  /// Nothing came in time.
  void in_vain() noexcept {
    credit_ -= k_price;
    if (credit_ >= 0) return;
    credit_ = 0;
    to_pass_ = next_pass_;
    next_pass_ = std::min(2 * next_pass_, k_most_passed);
  }

 private:
  static constexpr int k_price = 4;         // of a look in vain; one that is not earns 1
  static constexpr int k_most_credit = 16;  // so much noise changes nothing

  static constexpr int k_soon = 4;  // rests

  duration rest_{};  // the last one
  time_point rest_until_{};
  int credit_ = 0;
  std::uint32_t to_pass_ = 0;
  std::uint32_t next_pass_ = k_least_passed;
};

}  // namespace ferry
