#pragma once
/// A lock for sections of a few dozen instructions, entered millions of times a second and seldom contended.

#include <sys/single_threaded.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace ferry::os {

/// Taking it costs one atomic exchange (not even that as long as the process has one thread), giving it back one store:
/// half of what a std::mutex costs. In exchange whoever finds it taken looks again after giving the processor to
/// others, and after a while after sleeps: waiting is neither fair nor prompt. Meets the standard's *Lockable*, so that
/// std::lock_guard works on it.
/// Any thread; not recursive, not shared between processes, not for signal handlers.
class brief_lock {
 public:
  void lock() noexcept {
    if (!try_lock()) [[unlikely]]
      wait();
  }
  [[nodiscard]] bool try_lock() noexcept {
    if (__libc_single_threaded != 0) {
      const bool free = !taken_.load(std::memory_order_relaxed);
      taken_.store(true, std::memory_order_relaxed);
      return free;
    }
    return !taken_.exchange(true, std::memory_order_acquire);  // pairs with: unlock
  }
  void unlock() noexcept { taken_.store(false, std::memory_order_release); }  // pairs with: try_lock

 private:
  // The holder may have lost its processor to us: yielding lets it go on, and sleeping lets it even where it has the
  // lower priority.
  void wait() noexcept {
    constexpr int k_yields = 64;
    constexpr auto k_sleep = std::chrono::microseconds(50);
    for (int looks = 0;; ++looks) {
      if (!taken_.load(std::memory_order_relaxed) && try_lock()) return;
      if (looks < k_yields)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(k_sleep);
    }
  }

  std::atomic<bool> taken_{false};
};

}  // namespace ferry::os
