#pragma once
/// How long packets were under way, counted in buckets as Prometheus' histograms have them.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace ferry::gateway {

/// Of one thread, which alone uses it; a copy is anybody's. No lock, no allocation.
class latency_buckets {
 public:
  /// Largest values of all buckets but the last one, which has no limit; nanoseconds.
  static constexpr std::array<std::uint64_t, 20> k_tops{
      5'000,       10'000,      20'000,        50'000,        100'000,       200'000,       500'000,
      1'000'000,   2'000'000,   5'000'000,     10'000'000,    20'000'000,    50'000'000,    100'000'000,
      200'000'000, 500'000'000, 1'000'000'000, 2'000'000'000, 5'000'000'000, 10'000'000'000};

  void record(std::uint64_t nanoseconds) noexcept {
    const auto* const at = std::lower_bound(k_tops.begin(), k_tops.end(), nanoseconds);
    ++counts_[static_cast<std::size_t>(at - k_tops.begin())];
    sum_ += nanoseconds;
  }
  /// Of each bucket, not of those below it too.
  [[nodiscard]] const auto& counts() const noexcept { return counts_; }
  [[nodiscard]] std::uint64_t count() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
  }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }

 private:
  std::array<std::uint64_t, k_tops.size() + 1> counts_{};
  std::uint64_t sum_ = 0;
};

}  // namespace ferry::gateway
