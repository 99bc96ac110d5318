#pragma once
/// Sleeping on a word of shared memory. (std::atomic::wait is of no use there: its futex is private to a process.)

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace ferry::os {

/// Sleeps while `word` is `expected`, at most for `within`. Returns when woken, when the word is another, when the time
/// is over, on a signal, or for no reason.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::chrono::nanoseconds within) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t));
  const timespec limit{static_cast<time_t>(within.count() / 1'000'000'000),
                       static_cast<long>(within.count() % 1'000'000'000)};
  const int before = errno;
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &limit, nullptr, 0);
  errno = before;
}

/// Wakes whoever sleeps on `word`, in any process that maps it.
inline void futex_wake(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

}  // namespace ferry::os
