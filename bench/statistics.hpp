#pragma once
/// Order statistics of small lists of samples.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace ferry::bench {

/// The sample at the nearest rank: the smallest one that at least `fraction` of all are not above. Reorders `samples`.
/// @param fraction 0 .. 1   @return 0 if there is none
template <class T>
[[nodiscard]] double percentile(std::vector<T>& samples, double fraction) {
  if (samples.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(samples.size())));
  const auto nth = samples.begin() + static_cast<std::ptrdiff_t>(rank == 0 ? 0 : rank - 1);
  std::nth_element(samples.begin(), nth, samples.end());
  return static_cast<double>(*nth);
}

/// The middle sample, or the mean of the two in the middle; 0 if there is none.
[[nodiscard]] inline double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  if (samples.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(samples.begin(), middle)) / 2;
}

}  // namespace ferry::bench
