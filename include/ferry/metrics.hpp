#pragma once
/// Numbers for the operator: counters, gauges, histograms, and a registry that lists them. Includes no Boost.
/// The functions without `shared` in their name are for one writing thread per instrument and cost a load and a store;
/// any thread may read at any time, and then sees each number of an instrument as it was at some recent instant.

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ferry {

/// Only grows.
class counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  /// For any number of writing threads; not together with add() on another thread.
  void add_shared(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down.
class gauge {
 public:
  void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t n) noexcept { set(value() + n); }
  /// For any number of writing threads; not together with set() or add() on another thread.
  void add_shared(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

namespace detail {

/// Log-linear buckets: values below 16 have one each, above that 16 share each power of two, so a bucket is never
/// wider than a sixteenth of its values.
struct histogram_buckets {
  static constexpr unsigned k_sub_bits = 4;
  static constexpr unsigned k_sub = 1u << k_sub_bits;
  static constexpr std::size_t k_count = k_sub * (63 - k_sub_bits + 1);
  static constexpr std::uint64_t k_max_value = (std::uint64_t{1} << 63) - 1;

  [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    if (value < k_sub) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - k_sub_bits;
    return k_sub * shift + (value >> shift);
  }
  /// The largest value of a bucket.
  [[nodiscard]] static constexpr std::uint64_t top_of(std::size_t index) noexcept {
    if (index < k_sub) return index;
    const auto shift = index / k_sub - 1;
    return (((k_sub + index % k_sub) + 1) << shift) - 1;
  }
};

}  // namespace detail

/// A histogram at one instant, or the sum of several.
class histogram_snapshot {
 public:
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// Of all values; at most 2^64 - 1.
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }
  /// The least value that at least the share `q` of all values does not exceed, at most a sixteenth too large;
  /// 0 of nothing. @param q 0 .. 1.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept;
  [[nodiscard]] std::uint64_t p50() const noexcept { return quantile(0.5); }
  [[nodiscard]] std::uint64_t p99() const noexcept { return quantile(0.99); }
  [[nodiscard]] std::uint64_t p999() const noexcept { return quantile(0.999); }

  /// As if all had been recorded in one.
  histogram_snapshot& operator+=(const histogram_snapshot& other) noexcept;

 private:
  friend class histogram;
  std::array<std::uint64_t, detail::histogram_buckets::k_count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

/// Distribution of values from 0 to 2^63 - 1 (nanoseconds, bytes); larger ones count as 2^63 - 1. Takes 7.5 KiB.
class histogram {
 public:
  void record(std::uint64_t value) noexcept {
    if (value > buckets::k_max_value) value = buckets::k_max_value;
    bump(counts_[buckets::index_of(value)], 1);
    bump(sum_, value);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }
  [[nodiscard]] histogram_snapshot snapshot() const noexcept;

 private:
  using buckets = detail::histogram_buckets;
  static void bump(std::atomic<std::uint64_t>& number, std::uint64_t n) noexcept {
    const auto old = number.load(std::memory_order_relaxed);
    number.store(old + n < old ? UINT64_MAX : old + n, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, buckets::k_count> counts_{};
  std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> max_{0};
};

enum class metric_kind : std::uint8_t { counter, gauge, histogram };

/// What identifies an instrument, and explains it.
struct metric_name {
  std::string name;                                         ///< "ferry_messages_sent_total"
  std::vector<std::pair<std::string, std::string>> labels;  ///< {"endpoint", "ipc://@a"}
  std::string help;                                         ///< one sentence
};

/// One instrument at one instant; what does not belong to its kind is 0.
struct metric_sample {
  metric_name id;
  metric_kind kind = metric_kind::counter;
  std::uint64_t count = 0;  ///< of a counter; of a histogram: how many values
  std::int64_t level = 0;   ///< of a gauge
  std::uint64_t sum = 0;    ///< of a histogram, as the rest
  std::uint64_t max = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t p999 = 0;
  double mean = 0;
};

namespace detail {
class registry_core;
struct registry_slot;
}  // namespace detail

/// Keeps one instrument listed; ends that when destroyed. Movable; may outlive the registry.
class metric_registration {
 public:
  metric_registration() noexcept = default;
  metric_registration(metric_registration&& other) noexcept
      : core_(std::move(other.core_)), slot_(std::exchange(other.slot_, nullptr)) {}
  metric_registration& operator=(metric_registration&& other) noexcept;
  ~metric_registration() { reset(); }
  void reset() noexcept;
  explicit operator bool() const noexcept { return slot_ != nullptr; }

 private:
  friend class metrics_registry;
  metric_registration(std::shared_ptr<detail::registry_core> core, detail::registry_slot* slot) noexcept
      : core_(std::move(core)), slot_(slot) {}
  std::shared_ptr<detail::registry_core> core_;
  detail::registry_slot* slot_ = nullptr;
};

/// Lists instruments by name. Thread safety: every member may be called from any thread; no lock is taken, and nobody
/// waits for anybody.
class metrics_registry {
 public:
  metrics_registry();

  /// The registry shares the instrument, because a snapshot may be reading it while it is taken off the list. An
  /// instrument inside a larger object is shared as std::shared_ptr<const counter>(object, &object->sent).
  [[nodiscard]] metric_registration add(metric_name id, std::shared_ptr<const counter> instrument);
  [[nodiscard]] metric_registration add(metric_name id, std::shared_ptr<const gauge> instrument);
  [[nodiscard]] metric_registration add(metric_name id, std::shared_ptr<const histogram> instrument);

  /// All that is listed, by name, then labels.
  [[nodiscard]] std::vector<metric_sample> snapshot() const;

 private:
  std::shared_ptr<detail::registry_core> core_;
};

/// In Prometheus' text exposition format, version 0.0.4; a histogram becomes a summary (with quantiles 0.5, 0.99 and
/// 0.999) and a gauge NAME_max. Characters that a name may not have become '_'.
/// @param samples ordered as snapshot() gives them.
[[nodiscard]] std::string prometheus_text(const std::vector<metric_sample>& samples);

}  // namespace ferry
