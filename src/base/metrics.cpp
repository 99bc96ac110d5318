#include <ferry/metrics.hpp>

#include <algorithm>
#include <tuple>
#include <variant>

namespace ferry {

std::uint64_t histogram_snapshot::quantile(double q) const noexcept {
  if (count_ == 0) return 0;
  const auto exact = std::clamp(q, 0.0, 1.0) * static_cast<double>(count_);
  auto rank = static_cast<std::uint64_t>(exact);
  if (static_cast<double>(rank) < exact) ++rank;
  rank = std::clamp<std::uint64_t>(rank, 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(detail::histogram_buckets::top_of(i), max_);
  }
  return max_;
}

histogram_snapshot& histogram_snapshot::operator+=(const histogram_snapshot& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ = sum_ + other.sum_ < sum_ ? UINT64_MAX : sum_ + other.sum_;
  max_ = std::max(max_, other.max_);
  return *this;
}

histogram_snapshot histogram::snapshot() const noexcept {
  histogram_snapshot now;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    now.buckets_[i] = counts_[i].load(std::memory_order_relaxed);
    now.count_ += now.buckets_[i];
  }
  now.sum_ = sum_.load(std::memory_order_relaxed);
  now.max_ = max_.load(std::memory_order_relaxed);
  return now;
}

namespace detail {

using instrument =
    std::variant<std::shared_ptr<const counter>, std::shared_ptr<const gauge>, std::shared_ptr<const histogram>>;

struct registry_entry {
  metric_name id;
  instrument source;
};

/// One place of the list. Slots are never taken off it and never freed before the registry, so that whoever walks it
/// needs no lock; an empty one is used again.
///   empty --claim--> changing --publish--> held (1: its registration, more: snapshots) --last unpin--> changing -->
///   empty
struct registry_slot {
  static constexpr std::uint32_t k_empty = 0;
  static constexpr std::uint32_t k_changing = UINT32_MAX;

  std::atomic<std::uint32_t> holders{k_changing};
  std::unique_ptr<const registry_entry> entry;
  registry_slot* next = nullptr;

  [[nodiscard]] bool claim() noexcept {
    auto expected = k_empty;
    return holders.compare_exchange_strong(expected, k_changing, std::memory_order_acquire);  // pairs with: unpin
  }
  void publish(std::unique_ptr<const registry_entry> fresh) noexcept {
    entry = std::move(fresh);
    holders.store(1, std::memory_order_release);  // pairs with: pin
  }
  [[nodiscard]] bool pin() noexcept {
    auto seen = holders.load(std::memory_order_relaxed);
    while (seen != k_empty && seen < k_changing - 1)
      if (holders.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire)) return true;  // pairs with: publish
    return false;
  }
  void unpin() noexcept {
    auto seen = holders.load(std::memory_order_relaxed);
    // Acquires what other holders did before their unpin, so that the last one may destroy the entry.
    while (!holders.compare_exchange_weak(seen, seen == 1 ? k_changing : seen - 1, std::memory_order_acq_rel)) {
    }
    if (seen != 1) return;
    entry.reset();
    holders.store(k_empty, std::memory_order_release);  // pairs with: claim
  }
};

class registry_core {
 public:
  registry_core() noexcept = default;
  registry_core(const registry_core&) = delete;
  registry_core& operator=(const registry_core&) = delete;
  ~registry_core() {
    for (auto* slot = first_.load(std::memory_order_relaxed); slot != nullptr;) delete std::exchange(slot, slot->next);
  }

  registry_slot* add(metric_name id, instrument source) {
    auto entry = std::make_unique<const registry_entry>(registry_entry{std::move(id), std::move(source)});
    auto* slot = first();
    while (slot != nullptr && !slot->claim()) slot = slot->next;
    if (slot == nullptr) slot = append(std::make_unique<registry_slot>());
    slot->publish(std::move(entry));
    return slot;
  }

  [[nodiscard]] registry_slot* first() const noexcept {
    return first_.load(std::memory_order_acquire);  // pairs with: append
  }

 private:
  registry_slot* append(std::unique_ptr<registry_slot> fresh) noexcept {
    fresh->next = first_.load(std::memory_order_relaxed);
    while (!first_.compare_exchange_weak(fresh->next, fresh.get(), std::memory_order_release,
                                         std::memory_order_relaxed)) {  // pairs with: first
    }
    return fresh.release();
  }

  std::atomic<registry_slot*> first_{nullptr};
};

namespace {

struct pinned {
  registry_slot& slot;
  ~pinned() { slot.unpin(); }
};

void read(const counter& from, metric_sample& into) {
  into.kind = metric_kind::counter;
  into.count = from.value();
}
void read(const gauge& from, metric_sample& into) {
  into.kind = metric_kind::gauge;
  into.level = from.value();
}
void read(const histogram& from, metric_sample& into) {
  const auto now = from.snapshot();
  into.kind = metric_kind::histogram;
  into.count = now.count();
  into.sum = now.sum();
  into.max = now.max();
  into.p50 = now.p50();
  into.p99 = now.p99();
  into.p999 = now.p999();
  into.mean = now.mean();
}

}  // namespace
}  // namespace detail

metric_registration& metric_registration::operator=(metric_registration&& other) noexcept {
  if (this == &other) return *this;
  reset();
  core_ = std::move(other.core_);
  slot_ = std::exchange(other.slot_, nullptr);
  return *this;
}

void metric_registration::reset() noexcept {
  if (slot_ != nullptr) std::exchange(slot_, nullptr)->unpin();
  core_.reset();
}

metrics_registry::metrics_registry() : core_(std::make_shared<detail::registry_core>()) {}

metric_registration metrics_registry::add(metric_name id, std::shared_ptr<const counter> instrument) {
  return {core_, core_->add(std::move(id), std::move(instrument))};
}
metric_registration metrics_registry::add(metric_name id, std::shared_ptr<const gauge> instrument) {
  return {core_, core_->add(std::move(id), std::move(instrument))};
}
metric_registration metrics_registry::add(metric_name id, std::shared_ptr<const histogram> instrument) {
  return {core_, core_->add(std::move(id), std::move(instrument))};
}

std::vector<metric_sample> metrics_registry::snapshot() const {
  std::vector<metric_sample> samples;
  for (auto* slot = core_->first(); slot != nullptr; slot = slot->next) {
    if (!slot->pin()) continue;
    const detail::pinned pin{*slot};
    auto& sample = samples.emplace_back();
    sample.id = slot->entry->id;
    std::visit([&sample](const auto& source) { detail::read(*source, sample); }, slot->entry->source);
  }
  std::sort(samples.begin(), samples.end(), [](const metric_sample& a, const metric_sample& b) {
    return std::tie(a.id.name, a.id.labels) < std::tie(b.id.name, b.id.labels);
  });
  return samples;
}

}  // namespace ferry
