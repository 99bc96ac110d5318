#pragma once
/// Distribution of round-trip times, fine enough for ratios of a few percent.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ferry::app {

/// Log-linear buckets: 128 share each power of two, so a quantile is off by less than 0.4 %. Takes 29 KiB and no
/// other memory, so it can lie in memory that processes share. One thread at a time.
class bench_histogram {
 public:
  /// @param value nanoseconds; above 2^35 (34 s) it counts as that
  void record(std::uint64_t value) noexcept {
    counts_[index_of(std::min(value, k_limit - 1))] += 1;
    count_ += 1;
    max_ = std::max(max_, value);
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

  /// The least value that the share `q` (0 .. 1) of all values does not exceed; 0 of nothing.
  [[nodiscard]] double quantile(double q) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < k_buckets; ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen != 0) return std::min(middle_of(i), static_cast<double>(max_));
    }
    return 0;
  }

 private:
  static constexpr unsigned k_sub_bits = 7;
  static constexpr std::uint64_t k_sub = 1u << k_sub_bits;
  static constexpr unsigned k_limit_bits = 35;
  static constexpr std::uint64_t k_limit = std::uint64_t{1} << k_limit_bits;
  static constexpr std::size_t k_buckets = k_sub * (k_limit_bits - k_sub_bits + 1);

  [[nodiscard]] static std::size_t index_of(std::uint64_t value) noexcept {
    if (value < k_sub) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - k_sub_bits;
    return k_sub * shift + (value >> shift);
  }
  [[nodiscard]] static double middle_of(std::size_t index) noexcept {
    if (index < k_sub) return static_cast<double>(index);
    const auto shift = index / k_sub - 1;
    const auto low = (k_sub + index % k_sub) << shift;
    return static_cast<double>(low) + static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
  }

  std::array<std::uint64_t, k_buckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace ferry::app
