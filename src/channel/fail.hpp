#pragma once
/// For the APIs that throw: an error as an exception, and deadlines that do not overflow.

#include <ferry/error.hpp>

#include <chrono>
#include <utility>

namespace ferry {

[[noreturn]] inline void fail(const error& why) { throw failure(why.reason(), why.system_errno(), why.text()); }

inline void or_fail(const result<void>& got) {
  if (!got) fail(got.error());
}
template <class T>
T or_fail(result<T> got) {
  if (!got) fail(got.error());
  return std::move(*got);
}

/// For ever, where the sum would not fit.
[[nodiscard]] inline std::chrono::steady_clock::time_point deadline_after(std::chrono::nanoseconds within) {
  using clock = std::chrono::steady_clock;
  const auto now = clock::now();
  return within > clock::time_point::max() - now ? clock::time_point::max() : now + within;
}

}  // namespace ferry
