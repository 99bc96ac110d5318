#pragma once
#include <pthread.h>
#include <sys/random.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace ferry::os {

/// Fills `size` bytes, at most 256, from the system's generator. Where that is forbidden (seccomp), the C library
/// finds another way or ends the process: what is guessed is no secret.
inline void fill_random(void* into, std::size_t size) noexcept {
  // No less than asked for, and no failure, once the system is up.
  if (::getrandom(into, size, 0) != static_cast<ssize_t>(size)) ::arc4random_buf(into, size);
}

/// 64 random bits from the system's generator.
[[nodiscard]] inline std::uint64_t random_u64() noexcept {
  std::uint64_t bits = 0;
  fill_random(&bits, sizeof bits);
  return bits;
}

/// A random number in [0, 1), from the system's generator.
[[nodiscard]] inline double random_unit() noexcept { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

/// The same in small portions, of which many come with one system call. Each byte is given once, also where the process
/// forks: the child forgets what its parent has. One thread.
class random_portions {
 public:
  template <class T>
  [[nodiscard]] T next() noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
    if (store_.size() - used_ < sizeof(T) || forks_ != forks().load(std::memory_order_relaxed)) refill();
    T portion;
    std::memcpy(&portion, store_.data() + used_, sizeof portion);
    used_ += sizeof portion;
    return portion;
  }

 private:
  /// Between this process and the first one that had such a store.
  static std::atomic<unsigned>& forks() noexcept {
    static std::atomic<unsigned> count{0};
    return count;
  }
  void refill() noexcept {
    static const int watched =
        ::pthread_atfork(nullptr, nullptr, [] { forks().fetch_add(1, std::memory_order_relaxed); });
    (void)watched;
    fill_random(store_.data(), store_.size());
    used_ = 0;
    forks_ = forks().load(std::memory_order_relaxed);
  }
  std::array<std::byte, 256> store_{};
  std::size_t used_ = sizeof store_;
  unsigned forks_ = 0;
};

}  // namespace ferry::os
