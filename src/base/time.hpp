#pragma once
/// The types of points in time and of spans. Dry code gets `now` as an argument and never asks a clock.

#include <chrono>

namespace ferry {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::nanoseconds;

/// Longer waits are cut to this, so that adding them to any `now` stays within the type.
inline constexpr duration k_longest_wait = std::chrono::hours(24 * 365 * 100);

}  // namespace ferry
