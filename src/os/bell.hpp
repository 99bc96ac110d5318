#pragma once
/// The doorbell: how somebody who has nothing to do sleeps, and how the other side, which pays one load while nobody
/// sleeps, wakes it. Source: docs/shared-memory.md, docs/shared-memory-ordering.md.

#include <atomic>
#include <chrono>
#include <cstdint>

#include "ring/ring_layout.hpp"

namespace ferry::os {

/// One bell as one side sees it. Both sides agree on `fenced`: no membarrier, so that whoever rings pays for the order.
class bell {
 public:
  bell() noexcept = default;
  bell(ring::bell_line& line, bool fenced) noexcept : word_(&line.sleeps), fenced_(fenced) {}

  // The side that rings.

  /// After something was published. @return whether the other side sleeps on its socket: write a byte there; whoever
  /// sleeps on the futex was woken.
  [[nodiscard]] bool ring() noexcept {
    std::uint32_t sleeps;
    if (fenced_) [[unlikely]] {
      sleeps = word_->fetch_or(0, std::memory_order_acq_rel);  // pairs with the exchange in go_to_sleep
    } else {
      // What was published must not be moved behind the load by the compiler; the sleeper's barrier sees to the rest.
      std::atomic_signal_fence(std::memory_order_seq_cst);
      sleeps = word_->load(std::memory_order_relaxed);
    }
    return sleeps != 0 && wake();
  }

  // The side that sleeps: announce, then order (once for any number of bells), then look again, and only then wait.

  void announce(ring::sleeping how) noexcept {
    // With `fenced_` pairs with: ring()
    (void)word_->exchange(static_cast<std::uint32_t>(how),
                          fenced_ ? std::memory_order_acq_rel : std::memory_order_relaxed);
  }
  /// Whether order_announcements() must follow.
  [[nodiscard]] bool needs_barrier() const noexcept { return !fenced_; }
  void awake() noexcept { word_->store(0, std::memory_order_relaxed); }
  /// On the futex, after announce(on_futex), until rung, for `within` at most, or for no reason.
  void wait(std::chrono::nanoseconds within) noexcept;

 private:
  [[nodiscard]] bool wake() noexcept;

  std::atomic<std::uint32_t>* word_ = nullptr;
  bool fenced_ = false;
};

}  // namespace ferry::os
