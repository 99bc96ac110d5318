#include "base/spin_habit.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

// Says nothing came, until it sleeps instead. @return looks
int looks_in_vain(spin_habit& of) {
  int made = 0;
  for (; of.look({}); ++made) of.in_vain();
  return made;
}
// @return sleeps until it looks again
std::uint32_t passed(spin_habit& of) {
  std::uint32_t made = 1;  // that of looks_in_vain()
  while (!of.look({})) ++made;
  return made;
}

TEST(spin_habit, looks_on_while_something_comes_and_one_look_in_vain_of_six_changes_nothing) {
  spin_habit it;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(it.look({})) << i;
    if (i % 6 == 5)
      it.in_vain();
    else
      it.came();
  }
}

TEST(spin_habit, looks_more_and_more_seldom_where_nothing_comes) {
  spin_habit it;
  for (std::uint32_t expected = spin_habit::k_least_passed; expected < spin_habit::k_most_passed; expected *= 2) {
    EXPECT_EQ(looks_in_vain(it), 1);
    EXPECT_EQ(passed(it), expected);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(looks_in_vain(it), 1);
    EXPECT_EQ(passed(it), spin_habit::k_most_passed);
  }
}

TEST(spin_habit, gives_up_where_something_comes_every_other_time) {
  spin_habit it;
  std::uint32_t looks = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (!it.look({})) continue;
    ++looks;
    if (i % 2 == 0)
      it.came();
    else
      it.in_vain();
  }
  EXPECT_LT(looks, 100'000u / 250) << "as of a question now and then, whose answer comes soon";
}

TEST(spin_habit, looks_as_before_once_it_pays_again) {
  spin_habit it;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(looks_in_vain(it), 1);
    (void)passed(it);
  }
  for (int i = 0; i < 16; ++i) it.came();
  EXPECT_EQ(looks_in_vain(it), 5) << "a pause after much to do is no reason to give up";
  EXPECT_EQ(passed(it), spin_habit::k_least_passed);
}

TEST(spin_habit, rests_after_it_has_lost_its_core) {
  spin_habit it;
  const time_point begun{std::chrono::hours(1)};
  auto now = begun;
  ASSERT_TRUE(it.look(now));
  for (int i = 0; i < 10; ++i, now += spin_habit::k_lost / 2)
    ASSERT_TRUE(it.look_on(now, now + spin_habit::k_lost / 2)) << i;
  EXPECT_FALSE(it.look_on(now, now + spin_habit::k_lost));
  now += spin_habit::k_lost;
  EXPECT_FALSE(it.look(now));
  EXPECT_FALSE(it.look(now + spin_habit::k_least_rest - std::chrono::nanoseconds(1)));
  EXPECT_TRUE(it.look(now + spin_habit::k_least_rest));
}

// How long it rests when it loses its core, `after` its last rest was over.
duration rest_of(spin_habit& of, time_point& now, duration after) {
  now += after;
  EXPECT_FALSE(of.look_on(now - spin_habit::k_lost, now));
  const auto begun = now;
  while (!of.look(now)) now += std::chrono::milliseconds(1);
  return now - begun;
}

TEST(spin_habit, rests_longer_and_longer_where_it_loses_its_core_again_and_again_and_only_there) {
  using namespace std::chrono_literals;
  spin_habit it;
  time_point now{std::chrono::hours(1)};
  for (auto expected = spin_habit::k_least_rest; expected < spin_habit::k_most_rest; expected *= 2)
    EXPECT_EQ(rest_of(it, now, 3ms), expected);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rest_of(it, now, 3ms), spin_habit::k_most_rest);
  EXPECT_EQ(rest_of(it, now, 3999ms), spin_habit::k_most_rest);
  EXPECT_EQ(rest_of(it, now, 4000ms), spin_habit::k_least_rest) << "it had its core for long";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rest_of(it, now, 16ms), spin_habit::k_least_rest);
}

}  // namespace
}  // namespace ferry
