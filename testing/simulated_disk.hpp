#pragma once
/// A disk behind mapped memory: what was synced is there, of what was stored since any words may be, each with any of
/// the values that it had.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "session/storage.hpp"
#include "testing/session_world.hpp"

namespace ferry::test {

class simulated_disk final : public session::storage {
 public:
  explicit simulated_disk(session_memory& cache) : cache_(&cache), disk_(cache.copy()) {}

  /// Before each store, after everything else that is to be seen then: for recorded_stores::before.
  void storing(const void* to) {
    note();
    if (cache_->holds(to)) last_ = cache_->index_of(to);
  }

  /// A sync that has begun: what is stored from now on is no part of it.
  struct sync_begun {
    std::size_t first = 0, last = 0;
    std::unordered_map<std::size_t, std::size_t> values;  // of a word, how many it covers
  };
  [[nodiscard]] sync_begun begin(bytes what) {
    note();
    sync_begun begun;
    begun.first = cache_->index_of(what.data());
    begun.last = begun.first + what.size() / 8;
    for (const auto& [word, values] : unsynced_)
      if (word >= begun.first && word < begun.last) begun.values[word] = values.size();
    return begun;
  }
  void end(const sync_begun& begun) {
    for (const auto& [word, count] : begun.values) {
      auto& values = unsynced_[word];
      disk_[word] = values[count - 1];
      values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
      if (values.empty()) unsynced_.erase(word);
    }
  }

  /// Takes no time; but what stands still for a moment, before it and while it is under way, is shown to at_sync().
  [[nodiscard]] result<void> sync(bytes what) override {
    if (at_sync) at_sync();
    const auto begun = begin(what);
    if (at_sync) at_sync();
    end(begun);
    if (at_sync) at_sync();
    return {};
  }
  std::function<void()> at_sync;

  /// What is found after a loss of power. @param share  of the unsynced words that made it, in percent
  template <class Random>
  [[nodiscard]] std::vector<std::uint64_t> after_power_loss(Random& random, unsigned share) {
    note();
    auto found = disk_;
    for (const auto& [word, values] : unsynced_)
      if (random() % 100 < share) found[word] = values[random() % values.size()];
    return found;
  }
  /// Shows what may be found after a loss of power now: nothing of what was not synced, all of it, some words of it
  /// alone, all but some; and `parts` times what chance leaves.
  template <class Random, class Look>
  void each_loss(Random& random, std::size_t parts, Look look) {
    note();
    look(disk_);
    if (unsynced_.empty()) return;
    auto all = disk_;
    for (const auto& [word, values] : unsynced_) all[word] = values.back();
    look(all);
    // Where few words are under way each of them has its turn.
    const std::size_t one_in = 1 + unsynced_.size() / (2 + parts);
    for (const auto& [word, values] : unsynced_) {
      if (one_in > 1 && random() % one_in != 0) continue;
      auto found = disk_;
      found[word] = values.back();
      look(found);
      found = all;
      found[word] = disk_[word];
      look(found);
    }
    constexpr unsigned k_shares[] = {5, 50, 95};
    for (std::size_t i = 0; i < parts; ++i) look(after_power_loss(random, k_shares[random() % 3]));
  }
  /// The machine has come up with this on the disk and in memory; or a process has synced everything.
  void restart_with(const std::vector<std::uint64_t>& found) {
    cache_->assign(found);
    disk_ = found;
    unsynced_.clear();
    last_ = k_nowhere;
  }
  [[nodiscard]] std::size_t unsynced() const noexcept { return unsynced_.size(); }

 private:
  static constexpr std::size_t k_nowhere = ~std::size_t{0};
  /// The last store has been done meanwhile.
  void note() {
    if (last_ != k_nowhere) unsynced_[last_].push_back(cache_->word(last_));
    last_ = k_nowhere;
  }
  session_memory* cache_;
  std::vector<std::uint64_t> disk_;
  std::unordered_map<std::size_t, std::vector<std::uint64_t>> unsynced_;
  std::size_t last_ = k_nowhere;
};

}  // namespace ferry::test
