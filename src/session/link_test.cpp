#include "session/link.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ferry::session {

std::ostream& operator<<(std::ostream& out, const link_action& action) {
  return out << "action " << static_cast<int>(action.what) << " after " << action.delay.count() << " ns";
}

namespace {

using namespace std::chrono_literals;
using event = link_event;
using state = link_state;

constexpr std::array k_events{event::open,
                              event::connected,
                              event::failed,
                              event::lost,
                              event::retry_due,
                              event::close,
                              event::drained_and_peer_ended,
                              event::deadline};
constexpr std::array k_states{state::idle, state::connecting, state::up, state::waiting, state::closing, state::closed};

constexpr link_moment k_now{.now = time_point(1h)};
constexpr backoff_policy k_policy{.base = 100ms, .factor = 2, .jitter = 0, .max_delay = 1s};

link reconnecting(std::uint32_t max_attempts = 0) {
  auto policy = k_policy;
  policy.max_attempts = max_attempts;
  return link({.reconnect = true, .backoff = policy});
}

/// A link brought into a state by the shortest way.
link in(state wanted, bool reconnect = true) {
  link l({.reconnect = reconnect, .backoff = k_policy});
  const std::map<state, std::vector<event>> ways{
      {state::idle, {}},
      {state::connecting, {event::open}},
      {state::up, {event::open, event::connected}},
      {state::waiting, {event::open, event::failed}},
      {state::closing, {event::open, event::connected, event::close}},
      {state::closed, {event::close}},
  };
  for (const auto e : ways.at(wanted)) static_cast<void>(l.on(e, k_now));
  EXPECT_EQ(l.state(), wanted) << to_string(wanted);
  return l;
}

struct step {
  state to;
  link_action action;
};

/// Every transition there is with reconnection; what is not here changes nothing.
const std::map<std::pair<state, event>, step> k_steps{
    {{state::idle, event::open}, {state::connecting, {link_do::connect, {}}}},
    {{state::idle, event::connected}, {state::up, {link_do::report_up, {}}}},
    {{state::idle, event::close}, {state::closed, {link_do::report_closed, {}}}},
    {{state::connecting, event::connected}, {state::up, {link_do::report_up, {}}}},
    {{state::connecting, event::failed}, {state::waiting, {link_do::wait, 100ms}}},
    {{state::connecting, event::deadline}, {state::waiting, {link_do::wait, 100ms}}},
    {{state::connecting, event::close}, {state::closed, {link_do::report_closed, {}}}},
    {{state::up, event::lost}, {state::waiting, {link_do::report_down_and_wait, 100ms}}},
    {{state::up, event::deadline}, {state::waiting, {link_do::report_down_and_wait, 100ms}}},
    {{state::up, event::close}, {state::closing, {link_do::drain, {}}}},
    {{state::waiting, event::retry_due}, {state::connecting, {link_do::connect, {}}}},
    {{state::waiting, event::close}, {state::closed, {link_do::report_closed, {}}}},
    {{state::closing, event::drained_and_peer_ended}, {state::closed, {link_do::report_down_and_close, {}}}},
    {{state::closing, event::lost}, {state::closed, {link_do::report_down_and_close, {}}}},
    {{state::closing, event::deadline}, {state::closed, {link_do::report_down_and_close, {}}}},
};

TEST(link, answers_every_event_in_every_state_as_the_table_says) {
  for (const auto from : k_states)
    for (const auto e : k_events) {
      auto l = in(from);
      const auto row = k_steps.find({from, e});
      const auto expected = row == k_steps.end() ? step{from, {}} : row->second;
      EXPECT_EQ(l.on(e, k_now), expected.action) << to_string(from) << ", event " << static_cast<int>(e);
      EXPECT_EQ(l.state(), expected.to) << to_string(from) << ", event " << static_cast<int>(e);
    }
}

TEST(link, without_reconnection_is_closed_by_the_first_failure_or_loss) {
  const struct {
    state from;
    event why;
    link_do what;
  } rows[] = {
      {state::connecting, event::failed, link_do::report_closed},
      {state::connecting, event::deadline, link_do::report_closed},
      {state::up, event::lost, link_do::report_down_and_close},
      {state::up, event::deadline, link_do::report_down_and_close},
  };
  for (const auto& row : rows) {
    auto l = in(row.from, false);
    EXPECT_EQ(l.on(row.why, k_now).what, row.what);
    EXPECT_EQ(l.state(), state::closed);
  }
}

TEST(link, gives_up_when_the_attempts_are_used_up) {
  auto l = reconnecting(2);
  static_cast<void>(l.on(event::open, k_now));
  EXPECT_EQ(l.on(event::failed, k_now), (link_action{link_do::wait, 100ms}));
  static_cast<void>(l.on(event::retry_due, k_now));
  EXPECT_EQ(l.on(event::failed, k_now), (link_action{link_do::wait, 200ms}));
  static_cast<void>(l.on(event::retry_due, k_now));
  EXPECT_EQ(l.attempts(), 2u);
  EXPECT_EQ(l.on(event::failed, k_now).what, link_do::report_closed);
  EXPECT_EQ(l.state(), state::closed);
}

TEST(link, backs_off_further_when_each_connection_is_lost_at_once) {
  auto l = reconnecting();
  auto now = k_now.now;
  static_cast<void>(l.on(event::open, {.now = now}));
  for (const duration expected : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    ASSERT_EQ(l.on(event::connected, {.now = now}).what, link_do::report_up);
    now += 1ms;
    const auto down = l.on(event::lost, {.now = now, .heard = true});
    ASSERT_EQ(down, (link_action{link_do::report_down_and_wait, expected}));
    now += down.delay;
    ASSERT_EQ(l.on(event::retry_due, {.now = now}).what, link_do::connect);
  }
}

TEST(link, starts_the_delays_over_after_a_connection_that_proved_itself) {
  auto l = reconnecting();
  static_cast<void>(l.on(event::open, k_now));
  for (int i = 0; i < 4; ++i) {
    static_cast<void>(l.on(event::failed, k_now));
    static_cast<void>(l.on(event::retry_due, k_now));
  }
  static_cast<void>(l.on(event::connected, k_now));
  EXPECT_EQ(l.on(event::lost, {.now = k_now.now + 10s, .heard = true}),
            (link_action{link_do::report_down_and_wait, 100ms}));
}

/// Follows every way of a given length: reports come in pairs, the end is told once, and a closed link stays closed.
void follow(const link& l, bool up, int ends, int left) {
  for (const auto e : k_events) {
    auto next = l;
    const auto action = next.on(e, k_now);
    const bool reports_up = action.what == link_do::report_up;
    const bool reports_down =
        action.what == link_do::report_down_and_wait || action.what == link_do::report_down_and_close;
    const bool reports_end = action.what == link_do::report_closed || action.what == link_do::report_down_and_close;
    ASSERT_FALSE(up && (reports_up || action.what == link_do::report_closed));
    ASSERT_FALSE(!up && reports_down);
    const bool now_up = (up || reports_up) && !reports_down;
    const int now_ends = ends + (reports_end ? 1 : 0);
    ASSERT_EQ(now_ends, next.state() == state::closed ? 1 : 0);
    ASSERT_EQ(now_up, next.state() == state::up || next.state() == state::closing);
    if (left > 1) follow(next, now_up, now_ends, left - 1);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(link, reports_in_pairs_and_its_end_once_whatever_happens_in_whatever_order) {
  follow(reconnecting(2), false, 0, 6);
  follow(link({.reconnect = false, .backoff = k_policy}), false, 0, 6);
}

TEST(link, each_state_has_a_name_of_its_own) {
  std::set<std::string> names;
  for (const auto s : k_states) names.insert(to_string(s));
  EXPECT_EQ(names.size(), k_states.size());
}

}  // namespace
}  // namespace ferry::session
