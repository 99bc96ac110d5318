// The memory itself: what real processors are known to do can happen in it, and what they rule out cannot.
#include "tests/model/weak_memory.hpp"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace ferry::model {
namespace {

enum class act { store, store_release, load, load_acquire, fence, membarrier };
struct line {
  act what;
  place where = 0;
  value stored = 0;
};
using program = std::vector<line>;
using results = std::vector<value>;  // of the loads, the first thread's first

constexpr place x = 0, y = 1;

// Runs two straight programs in every order. A load waits in the window as one of any value.
class machine {
 public:
  machine(program first, program second) : programs_{std::move(first), std::move(second)} { go({}); }
  [[nodiscard]] bool can_see(const results& what) const { return seen_.contains(what); }

 private:
  struct state {
    std::array<value, 2> memory{};
    std::array<window, 2> windows{};
    std::array<std::vector<std::size_t>, 2> numbers;  // of the line that each operation in the window is
    std::array<std::size_t, 2> next{};
    std::array<std::vector<value>, 2> got{std::vector<value>(8), std::vector<value>(8)};
  };

  static value visible(const state& s, std::size_t t, std::size_t i) {
    const place where = s.windows[t][i].where;
    const operation* const newest = s.windows[t].newest(where, i);
    return newest != nullptr ? newest->low : s.memory[where];
  }
  static void perform(state& s, std::size_t t, std::size_t i) {
    const operation one = s.windows[t][i];
    if (one.what == kind::foreseen) {
      s.got[t][s.numbers[t][i]] = visible(s, t, i);
    } else {
      s.memory[one.where] = one.low;
    }
    s.windows[t].remove(i);
    s.numbers[t].erase(s.numbers[t].begin() + static_cast<std::ptrdiff_t>(i));
  }

  void go(const state& s) {
    bool stuck = true;
    for (std::size_t t = 0; t < 2; ++t) {
      for (std::size_t i = 0; i < s.windows[t].size(); ++i) {
        if (!s.windows[t].may_perform(i)) continue;
        stuck = false;
        state after = s;
        perform(after, t, i);
        go(after);
      }
      if (s.next[t] < programs_[t].size() && issue(s, t)) stuck = false;
    }
    if (stuck) seen_.insert(loads_of(s));
  }
  bool issue(const state& s, std::size_t t) {
    const line one = programs_[t][s.next[t]];
    state after = s;
    after.next[t] += 1;
    const auto push = [&](operation what) {
      after.windows[t].push(what);
      after.numbers[t].push_back(s.next[t]);
    };
    const window& mine = s.windows[t];
    switch (one.what) {
      case act::store: push({kind::store, one.where, one.stored, 0}); break;
      case act::store_release: push({kind::store_release, one.where, one.stored, 0}); break;
      case act::load: push({kind::foreseen, one.where, 0, 0xff}); break;
      case act::load_acquire:
        if (!mine.may_load(one.where, mine.size())) return false;
        push({kind::foreseen, one.where, 0, 0xff});
        perform(after, t, after.windows[t].size() - 1);
        break;
      case act::fence:
        if (!mine.empty()) return false;
        break;
      case act::membarrier:
        if (!mine.empty() || !s.windows[t ^ 1].empty()) return false;
        break;
    }
    go(after);
    return true;
  }
  [[nodiscard]] results loads_of(const state& s) const {
    results all;
    for (std::size_t t = 0; t < 2; ++t)
      for (std::size_t i = 0; i < programs_[t].size(); ++i)
        if (programs_[t][i].what == act::load || programs_[t][i].what == act::load_acquire) all.push_back(s.got[t][i]);
    return all;
  }

  std::array<program, 2> programs_;
  std::set<results> seen_;
};

TEST(weak_memory, shows_a_flag_before_its_message_if_either_side_is_relaxed) {
  const line flag{act::store, y, 1};
  const line released{act::store_release, y, 1};
  const program message_then_flag{{act::store, x, 1}, flag};
  const program message_then_release{{act::store, x, 1}, released};
  const program relaxed_reader{{act::load, y}, {act::load, x}};
  const program acquiring_reader{{act::load_acquire, y}, {act::load, x}};
  EXPECT_TRUE(machine(message_then_flag, acquiring_reader).can_see({1, 0}));
  EXPECT_TRUE(machine(message_then_release, relaxed_reader).can_see({1, 0}));
  EXPECT_FALSE(machine(message_then_release, acquiring_reader).can_see({1, 0}));
  EXPECT_TRUE(machine(message_then_release, acquiring_reader).can_see({1, 1}));
}

TEST(weak_memory, lets_both_sides_miss_each_other_even_with_acquire_and_release) {
  const program one{{act::store_release, x, 1}, {act::load_acquire, y}};
  const program other{{act::store_release, y, 1}, {act::load_acquire, x}};
  EXPECT_TRUE(machine(one, other).can_see({0, 0}));
}

TEST(weak_memory, lets_nobody_be_missed_with_fences_on_both_sides_or_membarrier_on_one) {
  const program plain{{act::store, x, 1}, {act::load, y}};
  const program fenced{{act::store, x, 1}, {act::fence}, {act::load, y}};
  const program other_fenced{{act::store, y, 1}, {act::fence}, {act::load, x}};
  const program other_everywhere{{act::store, y, 1}, {act::membarrier}, {act::load, x}};
  EXPECT_FALSE(machine(fenced, other_fenced).can_see({0, 0}));
  EXPECT_TRUE(machine(plain, other_fenced).can_see({0, 0}));
  EXPECT_FALSE(machine(plain, other_everywhere).can_see({0, 0}));
}

TEST(weak_memory, performs_loads_late_unless_the_store_behind_them_releases) {
  const program relaxed{{act::load, x}, {act::store, y, 1}};
  const program released{{act::load, x}, {act::store_release, y, 1}};
  EXPECT_TRUE(machine(relaxed, {{act::load, y}, {act::store, x, 1}}).can_see({1, 1}));
  EXPECT_FALSE(machine(released, {{act::load_acquire, y}, {act::store, x, 1}}).can_see({1, 1}));
}

TEST(weak_memory, never_goes_back_in_time_on_one_place) {
  const program writer{{act::store, x, 1}, {act::store, x, 2}};
  const program reader{{act::load, x}, {act::load, x}};
  EXPECT_FALSE(machine(writer, reader).can_see({2, 1}));
  EXPECT_FALSE(machine(writer, reader).can_see({1, 0}));
  EXPECT_TRUE(machine(writer, reader).can_see({1, 2}));
}

TEST(weak_memory, shows_a_thread_its_own_stores_before_anybody_else_sees_them) {
  const program one{{act::store, x, 1}, {act::load, x}, {act::load, y}};
  const program other{{act::store, y, 1}, {act::load, y}, {act::load, x}};
  EXPECT_TRUE(machine(one, other).can_see({1, 0, 1, 0}));
  EXPECT_FALSE(machine(one, other).can_see({0, 0, 1, 0}));
}

}  // namespace
}  // namespace ferry::model
