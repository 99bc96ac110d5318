#include "session/heartbeat.hpp"

#include <gtest/gtest.h>

namespace ferry::session {
namespace {

using namespace std::chrono_literals;
using action = heartbeat_action;

time_point at(duration since_start) { return time_point(1h + since_start); }

heartbeat started(std::uint32_t max_misses = 3) {
  heartbeat h({.interval = 10s, .max_misses = max_misses});
  h.on_up(at(0s));
  return h;
}

TEST(heartbeat, without_an_interval_never_asks) {
  heartbeat h;
  h.on_up(at(0s));
  EXPECT_FALSE(h.next());
  EXPECT_EQ(h.on_timer(at(1000h)), action::none);
}

TEST(heartbeat, with_the_longest_interval_of_all_never_asks_in_a_lifetime) {
  heartbeat h({.interval = duration::max()});
  h.on_up(at(0s));
  EXPECT_EQ(h.on_timer(at(24h * 365 * 99)), action::none);
}

TEST(heartbeat, asks_when_nothing_was_sent_for_the_interval) {
  auto h = started();
  EXPECT_EQ(h.next(), at(10s));
  EXPECT_EQ(h.on_timer(at(10s - 1ns)), action::none);
  EXPECT_EQ(h.on_timer(at(10s)), action::ask);
}

TEST(heartbeat, does_not_ask_while_something_is_sent_and_asks_however_much_is_received) {
  auto h = started();
  h.on_sent(at(7s));
  h.on_received(at(8s));
  EXPECT_EQ(h.on_timer(at(10s)), action::none);
  EXPECT_EQ(h.next(), at(17s));
  EXPECT_EQ(h.on_timer(at(17s)), action::ask);
}

TEST(heartbeat, is_content_with_an_answer_and_remembers_the_round_trip) {
  auto h = started();
  EXPECT_FALSE(h.round_trip());
  ASSERT_EQ(h.on_timer(at(10s)), action::ask);
  h.on_answer(at(10s + 3ms));
  EXPECT_EQ(h.round_trip(), 3ms);
  EXPECT_EQ(h.misses(), 0u);
  EXPECT_EQ(h.next(), at(20s));
}

TEST(heartbeat, reports_the_peer_dead_once_after_as_many_misses_as_allowed) {
  auto h = started(3);
  ASSERT_EQ(h.on_timer(at(10s)), action::ask);
  EXPECT_EQ(h.on_timer(at(19s)), action::none);
  EXPECT_EQ(h.on_timer(at(20s)), action::ask);
  EXPECT_EQ(h.misses(), 1u);
  EXPECT_EQ(h.on_timer(at(30s)), action::ask);
  EXPECT_EQ(h.misses(), 2u);
  EXPECT_EQ(h.on_timer(at(40s)), action::dead);
  EXPECT_EQ(h.misses(), 3u);
  EXPECT_EQ(h.on_timer(at(50s)), action::none);
  EXPECT_FALSE(h.next());
}

TEST(heartbeat, allowed_one_miss_reports_it_at_once) {
  auto h = started(1);
  ASSERT_EQ(h.on_timer(at(10s)), action::ask);
  EXPECT_EQ(h.on_timer(at(20s)), action::dead);
  heartbeat none_allowed({.interval = 10s, .max_misses = 0});
  none_allowed.on_up(at(0s));
  EXPECT_EQ(none_allowed.on_timer(at(10s)), action::ask) << "no misses allowed is read as one";
}

TEST(heartbeat, an_answer_after_a_miss_saves_the_peer_but_tells_no_round_trip) {
  auto h = started(2);
  ASSERT_EQ(h.on_timer(at(10s)), action::ask);
  ASSERT_EQ(h.on_timer(at(20s)), action::ask);
  h.on_answer(at(21s));
  EXPECT_FALSE(h.round_trip());
  EXPECT_EQ(h.misses(), 0u);
  ASSERT_EQ(h.on_timer(at(30s)), action::ask);
  h.on_answer(at(31s));
  EXPECT_EQ(h.round_trip(), 1s);
}

TEST(heartbeat, any_sign_of_the_peer_ends_a_row_of_misses) {
  auto h = started(2);
  ASSERT_EQ(h.on_timer(at(10s)), action::ask);
  ASSERT_EQ(h.on_timer(at(20s)), action::ask);
  h.on_received(at(29s));
  EXPECT_EQ(h.misses(), 0u);
  EXPECT_EQ(h.next(), at(39s));
  EXPECT_EQ(h.on_timer(at(30s)), action::none);
  EXPECT_EQ(h.on_timer(at(39s)), action::ask);
}

TEST(heartbeat, an_answer_that_nobody_asked_for_is_a_sign_only) {
  auto h = started();
  h.on_answer(at(5s));
  EXPECT_FALSE(h.round_trip());
  EXPECT_EQ(h.next(), at(10s));
}

TEST(heartbeat, rests_while_down_and_starts_afresh_when_up) {
  auto h = started(1);
  ASSERT_EQ(h.on_timer(at(10s)), action::ask);
  h.on_down();
  EXPECT_FALSE(h.next());
  EXPECT_EQ(h.on_timer(at(100s)), action::none);
  h.on_up(at(200s));
  EXPECT_EQ(h.next(), at(210s));
  EXPECT_EQ(h.on_timer(at(210s)), action::ask);
}

}  // namespace
}  // namespace ferry::session
