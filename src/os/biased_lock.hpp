#pragma once
/// A lock for what one thread uses millions of times a second, and others hardly ever.

#include <atomic>
#include <cstdint>
#include <thread>

#include "os/barrier.hpp"
#include "os/brief_lock.hpp"

namespace ferry::os {

/// The thread that takes it first pays two plain stores for each time: an atomic exchange would wait there until all
/// that it stored before has left the processor, which after a record in a ring is most of what sending costs. The
/// first time that another thread takes it costs that one a barrier; from then on, and where barriers do not work from
/// the start, it is a brief_lock. For std::lock_guard. Any thread; not recursive, not shared between processes.
class biased_lock {
 public:
  void lock() noexcept {
    const auto self = own_id();
    if (owner_.load(std::memory_order_relaxed) != self) [[unlikely]]
      return lock_slowly(self);
    (void)inside_.load(std::memory_order_acquire);  // pairs with: unlock, of one that ended and had our number
    inside_.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the other one's barrier sees to the rest
    if (owner_.load(std::memory_order_relaxed) != self) [[unlikely]] {
      inside_.store(false, std::memory_order_release);  // pairs with: take_over
      return lock_slowly(self);
    }
    by_owner_ = true;
  }
  void unlock() noexcept {
    if (!by_owner_) [[unlikely]]
      return shared_.unlock();
    by_owner_ = false;
    inside_.store(false, std::memory_order_release);  // pairs with: take_over
  }
  /// Whether it is one thread's still.
  [[nodiscard]] bool is_biased() const noexcept { return owner_.load(std::memory_order_relaxed) > k_everybody; }

 private:
  static constexpr std::uintptr_t k_nobody = 0, k_everybody = 1;
  /// Of a thread that lives, its own; above k_everybody.
  [[nodiscard]] static std::uintptr_t own_id() noexcept {
    alignas(8) static thread_local char here = 0;
    return reinterpret_cast<std::uintptr_t>(&here);
  }
  [[gnu::noinline, gnu::cold]] void lock_slowly(std::uintptr_t self) noexcept {
    shared_.lock();
    const auto owner = owner_.load(std::memory_order_relaxed);
    if (owner == k_nobody)
      owner_.store(barriers_work() ? self : k_everybody, std::memory_order_relaxed);
    else if (owner != k_everybody)
      take_over();
  }
  // Either the owner finds that it is not its own any more, or we see that it is inside.
  void take_over() noexcept {
    owner_.store(k_everybody, std::memory_order_relaxed);
    barrier_everywhere();
    while (inside_.load(std::memory_order_acquire)) std::this_thread::yield();  // pairs with: lock, unlock
  }

  std::atomic<std::uintptr_t> owner_{k_nobody};
  std::atomic<bool> inside_{false};  // the owner is, or looks whether it may be
  bool by_owner_ = false;            // whoever holds it got it so; guarded by itself
  brief_lock shared_;
};

}  // namespace ferry::os
