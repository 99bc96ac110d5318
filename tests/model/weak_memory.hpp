#pragma once
/// A memory weaker than that of any processor we run on, for two threads.
///
/// Each thread puts its operations into a window, in the order of the program; they are performed from there, one at a
/// time, in any order that these rules leave:
///   - nothing passes an operation on the same place; a load may take the value of an own store that still waits;
///   - a release store is performed after everything before it;
///   - an acquire load is performed when it is issued, so that nothing behind it comes before it;
///   - a read-modify-write is one step, and stays behind what is on its place; one that acquires and releases, a fence
///     and a system call wait until the own window is empty; membarrier waits for both windows.
/// Nothing else orders anything. A branch does not: a load on whose value the program goes on may be left in the window
/// with a value foreseen, and what comes after it, stores too, may be performed before it. If the value turns out to be
/// another one, that execution never happened.
///
/// Two threads are two observers: what one of them stores has one order for the only other one, so that nothing is lost
/// by keeping a single memory.

#include <array>
#include <cstddef>
#include <cstdint>

namespace ferry::model {

using value = std::uint8_t;
using place = std::uint8_t;

/// More than ever wait: a search that fills a window fails.
inline constexpr std::size_t k_window = 20;

enum class kind : std::uint8_t {
  none,
  store,          ///< low: the value
  store_release,  ///< low: the value
  check,          ///< a load; anything but `low` is a torn read
  foreseen,       ///< a load; anything outside low .. high never happened
  exchange,       ///< reads `low`, or never happened; stores `high`
};

struct operation {
  kind what = kind::none;
  place where = 0;
  value low = 0;
  value high = 0;
};

/// What a thread has issued and not performed, oldest first.
class window {
 public:
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] bool full() const noexcept { return count_ == k_window; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] const operation& operator[](std::size_t i) const noexcept { return waiting_[i]; }

  void push(operation one) noexcept { waiting_[count_++] = one; }
  void remove(std::size_t i) noexcept {
    for (; i + 1 < count_; ++i) waiting_[i] = waiting_[i + 1];
    waiting_[--count_] = operation{};
  }
  /// Whether something was foreseen that has not come true yet.
  [[nodiscard]] bool foresees() const noexcept {
    for (std::size_t i = 0; i < count_; ++i)
      if (waiting_[i].what == kind::foreseen || waiting_[i].what == kind::exchange) return true;
    return false;
  }

  /// The newest operation on a place among the first `before`, or null.
  [[nodiscard]] const operation* newest(place where, std::size_t before) const noexcept {
    for (std::size_t i = before; i-- > 0;)
      if (waiting_[i].where == where) return &waiting_[i];
    return nullptr;
  }
  /// Whether a load behind the first `before` may be performed.
  [[nodiscard]] bool may_load(place where, std::size_t before) const noexcept {
    const operation* const earlier = newest(where, before);
    return earlier == nullptr || earlier->what == kind::store || earlier->what == kind::store_release;
  }
  /// Whether the i-th may be performed.
  [[nodiscard]] bool may_perform(std::size_t i) const noexcept {
    switch (waiting_[i].what) {
      case kind::check:
      case kind::foreseen: return may_load(waiting_[i].where, i);
      case kind::store:
      case kind::exchange: return newest(waiting_[i].where, i) == nullptr;
      case kind::store_release: return i == 0;
      case kind::none: break;
    }
    return false;
  }

 private:
  std::uint8_t count_ = 0;
  std::array<operation, k_window> waiting_{};
};

}  // namespace ferry::model
