#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "tests/model/ring_model.hpp"

namespace ferry::model {
namespace {

static_assert(std::has_unique_object_representations_v<state>, "a gap would make equal states differ");

/// States by number, each once.
class state_table {
 public:
  static constexpr std::uint32_t k_nothing = ~std::uint32_t{0};

  /// The number of a state, and whether it is new.
  std::pair<std::uint32_t, bool> add(const state& s) {
    if (2 * (states_.size() + 1) > buckets_.size()) grow();
    auto& bucket = bucket_of(s);
    if (bucket != k_nothing) return {bucket, false};
    bucket = static_cast<std::uint32_t>(states_.size());
    states_.push_back(s);
    return {bucket, true};
  }
  [[nodiscard]] std::size_t size() const noexcept { return states_.size(); }
  [[nodiscard]] const state& operator[](std::size_t i) const noexcept { return states_[i]; }

 private:
  static std::uint64_t hash(const state& s) noexcept {
    std::array<std::uint64_t, (sizeof(state) + 7) / 8> words{};
    std::memcpy(words.data(), &s, sizeof s);
    std::uint64_t h = 0;
    for (const auto word : words) h = std::rotl((h ^ word) * 0x9e3779b97f4a7c15, 29);
    return h ^ (h >> 32);
  }
  std::uint32_t& bucket_of(const state& s) noexcept {
    const std::size_t mask = buckets_.size() - 1;
    std::size_t i = hash(s) & mask;
    while (buckets_[i] != k_nothing && std::memcmp(&states_[buckets_[i]], &s, sizeof s) != 0) i = (i + 1) & mask;
    return buckets_[i];
  }
  void grow() {
    buckets_.assign(buckets_.empty() ? 1 << 16 : buckets_.size() * 2, k_nothing);
    for (std::uint32_t i = 0; i < states_.size(); ++i) bucket_of(states_[i]) = i;
  }

  std::vector<state> states_;
  std::vector<std::uint32_t> buckets_;
};

class search {
 public:
  search(const scenario& what, variant which) : model_(what, which) {}

  outcome run() {
    reach(model_.start(), 0);
    ways_in_[0] = 0;
    for (std::uint32_t i = 0; i < seen_.size(); ++i) {
      model_.successors(state(seen_[i]), next_);
      if (const failure found = model_.judge(seen_[i], next_.empty()); found != failure::none)
        return {found, seen_.size(), trace_to(i)};
      for (const auto& one : next_) reach(one.to, i);
    }
    return {goes_round() ? failure::endless : failure::none, seen_.size(), {}};
  }

 private:
  void reach(const state& s, std::uint32_t from) {
    const auto [number, is_new] = seen_.add(s);
    if (is_new) {
      parents_.push_back(from);
      ways_in_.push_back(0);
    }
    ways_in_[number] += 1;
  }
  std::vector<std::string> trace_to(std::uint32_t last) {
    std::vector<std::string> trace;
    for (; last != 0; last = parents_[last]) {
      model_.successors(state(seen_[parents_[last]]), next_);
      for (const auto& one : next_) {
        if (seen_.add(one.to).first != last) continue;
        if (auto line = model_.describe(one.by); !line.empty()) trace.insert(trace.begin(), std::move(line));
        break;
      }
    }
    return trace;
  }
  /// Whether some state can be reached from itself: then not every execution ends. Takes away states that nothing leads
  /// to until none is left, or a circle.
  bool goes_round() {
    std::vector<std::uint32_t> free{0};
    std::size_t taken = 0;
    while (!free.empty()) {
      const std::uint32_t i = free.back();
      free.pop_back();
      taken += 1;
      model_.successors(state(seen_[i]), next_);
      for (const auto& one : next_) {
        const std::uint32_t to = seen_.add(one.to).first;
        if (--ways_in_[to] == 0) free.push_back(to);
      }
    }
    return taken != seen_.size();
  }

  ring_model model_;
  state_table seen_;
  std::vector<std::uint32_t> parents_;
  std::vector<std::uint32_t> ways_in_;
  std::vector<next_state> next_;
};

}  // namespace

outcome explore(const scenario& what, variant which) { return search(what, which).run(); }

std::string_view text_of(failure what) noexcept {
  switch (what) {
    case failure::none: return "holds";
    case failure::torn: return "torn read";
    case failure::bad_word: return "wrong word";
    case failure::bad_position: return "impossible position";
    case failure::lost_wake_up: return "lost wake-up";
    case failure::deadlock: return "both asleep for ever";
    case failure::endless: return "goes round for ever";
    case failure::window_full: return "k_window is too small";
  }
  return "";
}

}  // namespace ferry::model
