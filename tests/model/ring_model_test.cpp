#include "tests/model/ring_model.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <ostream>

namespace ferry::model {
namespace {

// Small rings in which records wait for room, leave a pad behind, and go round.
const std::vector<scenario> k_scenarios = {
    {"header", 4, {2}, 2, 0, true},
    {"short ring", 4, {2, 1, 2, 1}, 2, 0, false},
    {"odd ring", 5, {2, 2, 2, 1}, 2, 0, false},
    {"long records", 6, {3, 2, 2}, 3, 0, false},
    {"time limits", 4, {2, 1, 2}, 2, 1, false},
    {"empty bodies", 4, {1, 1, 1, 1}, 2, 0, false},
};

struct rule {
  variant which;
  const char* name;
  failure expected;  // the first that is found
};
std::ostream& operator<<(std::ostream& out, const rule& r) { return out << r.name; }

struct verdict {
  outcome last;
  std::size_t states = 0;
  std::string_view scenario = "all";
};

verdict visit(variant which) {
  verdict all;
  for (const auto& one : k_scenarios) {
    all.last = explore(one, which);
    all.states += all.last.states;
    if (all.last.found == failure::none) continue;
    all.scenario = one.name;
    all.states = all.last.states;
    break;
  }
  return all;
}

std::string row_of(const rule& r, const verdict& v) {
  return "| `" + std::string(r.name) + "` | " + std::string(text_of(v.last.found)) + " | " + std::string(v.scenario) +
         " | " + std::to_string(v.states) + " |";
}

bool page_has(const std::string& row) {
  std::ifstream page(FERRY_SOURCE_DIR "/docs/shared-memory-ordering.md");
  for (std::string line; std::getline(page, line);)
    if (line.starts_with(row)) return true;
  return false;
}

void look_at(const rule& r) {
  const verdict v = visit(r.which);
  const std::string row = row_of(r, v);
  std::puts(row.c_str());
  for (const auto& line : v.last.trace) std::puts(line.c_str());
  EXPECT_EQ(text_of(v.last.found), text_of(r.expected));
  EXPECT_TRUE(page_has(row)) << "docs/shared-memory-ordering.md does not have this row";
}

std::string name_of(const testing::TestParamInfo<rule>& info) { return info.param.name; }

class rules_of_the_ring : public testing::TestWithParam<rule> {};
TEST_P(rules_of_the_ring, hold_in_every_order_that_memory_may_take) { look_at(GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    model, rules_of_the_ring,
    testing::Values(rule{variant::as_built, "as_built", failure::none}, rule{variant::fenced, "fenced", failure::none},
                    rule{variant::wake_at_left, "wake_at_left_by_producer", failure::none},
                    rule{variant::wake_at_kept, "wake_at_cleared_by_producer_alone", failure::none},
                    rule{variant::room_left, "room_left_set_by_producer", failure::none},
                    rule{variant::both_left, "both_left_by_producer", failure::none},
                    rule{variant::end_relaxed, "end_relaxed", failure::none}),
    name_of);

class weakened_rules_of_the_ring : public testing::TestWithParam<rule> {};
TEST_P(weakened_rules_of_the_ring, are_found_wrong) { look_at(GetParam()); }
INSTANTIATE_TEST_SUITE_P(
    model, weakened_rules_of_the_ring,
    testing::Values(rule{variant::word_relaxed, "word_stored_relaxed", failure::torn},
                    rule{variant::look_relaxed, "word_loaded_relaxed", failure::torn},
                    rule{variant::no_zero, "no_zero_at_next", failure::bad_word},
                    rule{variant::position_relaxed, "position_stored_relaxed", failure::torn},
                    rule{variant::position_look_relaxed, "position_loaded_relaxed", failure::torn},
                    rule{variant::no_spare_word, "no_word_to_spare", failure::deadlock},
                    rule{variant::pad_first, "pad_before_record", failure::bad_word},
                    rule{variant::pad_relaxed, "pad_stored_relaxed", failure::bad_word},
                    rule{variant::position_not_published, "position_not_published_when_empty", failure::deadlock},
                    rule{variant::bell_plain, "bell_without_barrier", failure::lost_wake_up},
                    rule{variant::bell_fence_of_sleeper, "bell_with_fence_of_sleeper_only", failure::lost_wake_up},
                    rule{variant::bell_no_second_look, "bell_without_second_look", failure::lost_wake_up},
                    rule{variant::bell_not_cleared, "bell_not_cleared", failure::lost_wake_up},
                    rule{variant::room_plain, "room_without_barrier", failure::lost_wake_up},
                    rule{variant::room_fence_of_sleeper, "room_with_fence_of_sleeper_only", failure::lost_wake_up},
                    rule{variant::room_no_second_look, "room_without_second_look", failure::lost_wake_up},
                    rule{variant::room_not_cleared, "room_not_cleared", failure::lost_wake_up},
                    rule{variant::wake_at_plain_store, "wake_at_cleared_by_plain_store", failure::lost_wake_up},
                    rule{variant::fenced_sleeper_relaxed, "fenced_sleeper_stores_relaxed", failure::lost_wake_up},
                    rule{variant::fenced_ringer_plain, "fenced_ringer_only_loads", failure::lost_wake_up},
                    rule{variant::magic_relaxed, "magic_stored_relaxed", failure::torn},
                    rule{variant::magic_look_relaxed, "magic_loaded_relaxed", failure::torn}),
    name_of);

}  // namespace
}  // namespace ferry::model
