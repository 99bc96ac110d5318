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
    order();
    return word_->load(std::memory_order_relaxed) != 0 && wake();
  }
  /// What was published comes before what is loaded next: by the sleeper's barrier, or by our own.
  void order() noexcept {
    if (fenced_) [[unlikely]]
      (void)word_->fetch_or(0, std::memory_order_acq_rel);  // pairs with: announce
    std::atomic_signal_fence(std::memory_order_seq_cst);    // the compiler must not move it either
  }

  // The side that sleeps: announce, then order (once for any number of bells), then look again, and only then wait.

  void announce(ring::sleeping how) noexcept {
    // With `fenced_` pairs with: ring()
    (void)word_->exchange(static_cast<std::uint32_t>(how),
                          fenced_ ? std::memory_order_acq_rel : std::memory_order_relaxed);
  }
  /// Whether nobody has rung since announce(): a slice of sleep may be followed by another as it is.
  [[nodiscard]] bool announced() const noexcept { return word_->load(std::memory_order_relaxed) != 0; }
  /// For a fast path of one's own: rings if the word is not 0, or always if fenced().
  [[nodiscard]] std::atomic<std::uint32_t>& word() const noexcept { return *word_; }
  /// Without membarrier: announce() orders by itself, else barrier_everywhere() must follow it.
  [[nodiscard]] bool fenced() const noexcept { return fenced_; }
  void awake() noexcept { word_->store(0, std::memory_order_relaxed); }
  /// On the futex, after announce(on_futex), until rung, for `within` at most, or for no reason.
  void wait(std::chrono::nanoseconds within) noexcept;

 private:
  [[nodiscard]] bool wake() noexcept;

  std::atomic<std::uint32_t>* word_ = nullptr;
  bool fenced_ = false;
};

}  // namespace ferry::os
