#include "session/arrival_probe.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "testing/virtual_clock.hpp"

namespace ferry::session {
namespace {

using namespace std::chrono_literals;

// How long after `from` it asks, if nothing more is sent.
std::vector<duration> questions(arrival_probe& probe, time_point from) {
  std::vector<duration> made;
  while (const auto due = probe.next()) {
    EXPECT_FALSE(probe.on_timer(*due - 1ns));
    EXPECT_TRUE(probe.on_timer(*due));
    made.push_back(*due - from);
  }
  return made;
}

TEST(arrival_probe, asks_one_two_and_four_seconds_after_what_was_sent_last) {
  test::virtual_clock clock;
  arrival_probe probe;
  EXPECT_FALSE(probe.next()) << "nothing was sent";
  EXPECT_FALSE(probe.on_timer(clock.now()));
  probe.on_sent(clock.now());
  EXPECT_EQ(questions(probe, clock.now()), (std::vector<duration>{1s, 2s, 4s}));
  EXPECT_FALSE(probe.on_timer(clock.advance(1h)));
}

TEST(arrival_probe, begins_anew_with_what_is_sent_meanwhile) {
  test::virtual_clock clock;
  arrival_probe probe;
  probe.on_sent(clock.now());
  probe.on_sent(clock.advance(900ms));
  EXPECT_FALSE(probe.on_timer(clock.advance(900ms)));
  EXPECT_TRUE(probe.on_timer(clock.advance(100ms)));
  probe.on_sent(clock.now());
  EXPECT_EQ(questions(probe, clock.now()), (std::vector<duration>{1s, 2s, 4s}));
}

TEST(arrival_probe, asks_no_more_once_it_is_settled) {
  test::virtual_clock clock;
  arrival_probe probe;
  probe.on_sent(clock.now());
  EXPECT_TRUE(probe.on_timer(clock.advance(1s)));
  probe.settle();
  EXPECT_FALSE(probe.next());
  EXPECT_FALSE(probe.on_timer(clock.advance(1h)));
}

TEST(arrival_probe, asks_once_where_its_timer_is_late) {
  test::virtual_clock clock;
  arrival_probe probe;
  probe.on_sent(clock.now());
  EXPECT_TRUE(probe.on_timer(clock.advance(1500ms)));
  EXPECT_FALSE(probe.on_timer(clock.now()));
}

}  // namespace
}  // namespace ferry::session
