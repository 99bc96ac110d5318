#pragma once
/// The time, as the kernel noted it at its last tick (1 to 10 ms ago), at a quarter of the price of the exact time.

#include <cstdint>
#include <ctime>

#include "base/time.hpp"

namespace ferry::os {

/// Of the steady clock: for who notes when something came, and compares that with seconds.
[[nodiscard]] inline time_point coarse_now() noexcept {
  timespec at{};
  (void)::clock_gettime(CLOCK_MONOTONIC_COARSE, &at);  // fails for no clock that exists
  return time_point(std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec));
}

/// Milliseconds since 1970: for messages that say when they were sent, and are too old after seconds.
[[nodiscard]] inline std::uint64_t coarse_unix_milliseconds() noexcept {
  timespec at{};
  (void)::clock_gettime(CLOCK_REALTIME_COARSE, &at);  // fails for no clock that exists
  return static_cast<std::uint64_t>(at.tv_sec) * 1000 + static_cast<std::uint64_t>(at.tv_nsec) / 1'000'000;
}

}  // namespace ferry::os
