#pragma once
/// Two pinned processes that begin every run together.

#include <ferry/detail/ring_core.hpp>

#include <atomic>
#include <cstdint>

namespace ferry::bench {

/// How often each side was ready for the other; in memory that both share.
struct meeting_place {
  alignas(128) std::atomic<std::uint64_t> first{0};
  alignas(128) std::atomic<std::uint64_t> second{0};
};

class partner {
 public:
  partner(meeting_place& shared, bool first) noexcept
      : mine_(first ? shared.first : shared.second), other_(first ? shared.second : shared.first) {}

  /// Returns, without sleeping, once the other side has called it as often: what either did before is seen by both.
  void meet() noexcept {
    const auto step = mine_.load(std::memory_order_relaxed) + 1;
    mine_.store(step, std::memory_order_release);                        // pairs with: the other side's load
    while (other_.load(std::memory_order_acquire) < step) ring_pause();  // pairs with: the other side's store
  }

 private:
  std::atomic<std::uint64_t>& mine_;
  const std::atomic<std::uint64_t>& other_;
};

}  // namespace ferry::bench
