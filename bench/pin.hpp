#pragma once
/// Keeps a thread on one core.

#include <sched.h>

#include <cerrno>

namespace ferry::bench {

/// The calling thread, from now on. @return false, with errno: there is no such core, or it may not use it
[[nodiscard]] inline bool pin_to(int core) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (core < 0 || core >= CPU_SETSIZE) {
    errno = EINVAL;
    return false;
  }
  CPU_SET(static_cast<unsigned>(core), &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace ferry::bench
