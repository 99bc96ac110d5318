#include "session/deadlines.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ferry::session {
namespace {

using namespace std::chrono_literals;

time_point at(duration since_start) { return time_point(1h + since_start); }

/// With its limits.
struct limited : deadlines {
  explicit limited(const deadline_limits& with = {}) : limits(with) {}
  [[nodiscard]] std::optional<time_point> next() const { return deadlines::next(limits); }
  [[nodiscard]] std::optional<deadline> check(time_point now) const { return deadlines::check(limits, now); }
  deadline_limits limits;
};

void expect_expiry(const limited& d, duration when, deadline which) {
  ASSERT_TRUE(d.next());
  EXPECT_EQ(*d.next() - at(0s), when);
  EXPECT_FALSE(d.check(at(when - 1ns)));
  EXPECT_EQ(d.check(at(when)), which);
  EXPECT_EQ(d.check(at(when + 1h)), which);
}

TEST(deadlines, without_limits_never_pass) {
  limited d;
  d.on_connecting(at(0s));
  EXPECT_FALSE(d.next());
  d.on_up(at(1s));
  d.on_write_pending(at(1s));
  EXPECT_FALSE(d.next());
  d.on_closing(at(2s));
  EXPECT_FALSE(d.next());
  EXPECT_FALSE(d.check(at(1000h)));
}

TEST(deadlines, connect_runs_from_the_attempt_until_up) {
  limited d({.connect = 3s});
  EXPECT_FALSE(d.next());
  d.on_connecting(at(1s));
  expect_expiry(d, 4s, deadline::connect);
  d.on_up(at(2s));
  EXPECT_FALSE(d.next());
}

TEST(deadlines, connect_runs_anew_for_each_attempt) {
  limited d({.connect = 3s});
  d.on_connecting(at(0s));
  d.on_down();
  EXPECT_FALSE(d.next());
  d.on_connecting(at(10s));
  expect_expiry(d, 13s, deadline::connect);
}

TEST(deadlines, write_runs_only_while_data_waits) {
  limited d({.write = 2s});
  d.on_up(at(0s));
  EXPECT_FALSE(d.next());
  d.on_write_pending(at(10s));
  expect_expiry(d, 12s, deadline::write);
  d.on_write_done(at(11s));
  EXPECT_FALSE(d.next());
}

TEST(deadlines, write_starts_over_with_every_byte_written_but_not_with_more_data_waiting) {
  limited d({.write = 2s});
  d.on_up(at(0s));
  d.on_write_pending(at(1s));
  d.on_write_pending(at(2s));
  expect_expiry(d, 3s, deadline::write);
  d.on_write_progress(at(2500ms));
  expect_expiry(d, 4500ms, deadline::write);
}

TEST(deadlines, write_does_not_blame_the_time_before_data_waited) {
  limited d({.write = 2s});
  d.on_up(at(0s));
  d.on_write_progress(at(1s));
  d.on_write_pending(at(100s));
  expect_expiry(d, 102s, deadline::write);
}

TEST(deadlines, read_idle_starts_over_with_any_byte_read_and_no_byte_written) {
  limited d({.read_idle = 10s});
  d.on_up(at(0s));
  expect_expiry(d, 10s, deadline::read_idle);
  d.on_read(at(4s));
  d.on_write_progress(at(8s));
  expect_expiry(d, 14s, deadline::read_idle);
}

TEST(deadlines, write_idle_starts_over_with_any_byte_written_and_no_byte_read) {
  limited d({.write_idle = 10s});
  d.on_up(at(0s));
  d.on_write_progress(at(4s));
  d.on_read(at(8s));
  expect_expiry(d, 14s, deadline::write_idle);
}

TEST(deadlines, idle_starts_over_with_any_byte_either_way) {
  limited d({.idle = 10s});
  d.on_up(at(0s));
  d.on_read(at(4s));
  expect_expiry(d, 14s, deadline::idle);
  d.on_write_progress(at(5s));
  expect_expiry(d, 15s, deadline::idle);
  d.on_read(at(6s));
  expect_expiry(d, 16s, deadline::idle);
}

TEST(deadlines, names_the_one_that_passed_first) {
  limited d({.write = 5s, .read_idle = 3s, .write_idle = 20s, .idle = 4s});
  d.on_up(at(0s));
  d.on_write_pending(at(0s));
  expect_expiry(d, 3s, deadline::read_idle);
  d.on_read(at(2900ms));
  expect_expiry(d, 5s, deadline::write);
}

TEST(deadlines, close_replaces_the_idle_ones_and_keeps_the_write_one) {
  limited d({.write = 2s, .read_idle = 1s, .write_idle = 1s, .idle = 1s, .close = 5s});
  d.on_up(at(0s));
  d.on_closing(at(1s));
  expect_expiry(d, 6s, deadline::close);
  d.on_write_pending(at(1s));
  expect_expiry(d, 3s, deadline::write);
  d.on_write_done(at(2s));
  expect_expiry(d, 6s, deadline::close);
}

TEST(deadlines, close_runs_from_its_first_call_whatever_happens_to_the_connection) {
  limited d({.connect = 3s, .close = 5s});
  d.on_closing(at(1s));
  expect_expiry(d, 6s, deadline::close);
  d.on_connecting(at(2s));
  expect_expiry(d, 5s, deadline::connect);
  d.on_up(at(3s));
  d.on_closing(at(4s));
  expect_expiry(d, 6s, deadline::close);
  d.on_down();
  expect_expiry(d, 6s, deadline::close);
}

TEST(deadlines, close_may_be_given_its_limit_when_it_begins) {
  limited d({.close = 5s});
  d.on_closing(at(1s), 2s);
  expect_expiry(d, 3s, deadline::close);
  limited without_one;
  without_one.on_closing(at(1s), 2s);
  expect_expiry(without_one, 3s, deadline::close);
}

TEST(deadlines, a_new_connection_owes_nothing_to_the_one_before) {
  limited d({.write = 2s, .idle = 10s});
  d.on_up(at(0s));
  d.on_write_pending(at(1s));
  d.on_up(at(100s));
  expect_expiry(d, 110s, deadline::idle);
}

TEST(deadlines, away_runs_from_the_loss_until_the_peer_is_back_or_the_end_begins) {
  limited d({.connect = 1s, .idle = 1s, .close = 4s, .away = 3s});
  d.on_away(at(1s));
  expect_expiry(d, 4s, deadline::away);
  d.on_up(at(2s));
  expect_expiry(d, 3s, deadline::idle);
  d.on_away(at(3s));
  d.on_closing(at(5s));
  expect_expiry(d, 9s, deadline::close);
}

TEST(deadlines, a_limit_beyond_the_end_of_time_never_passes) {
  limited d({.connect = duration::max(), .idle = duration::max() - 30min});
  d.on_connecting(at(0s));
  EXPECT_FALSE(d.next());
  d.on_up(at(0s));
  EXPECT_FALSE(d.check(time_point::max()));
}

TEST(deadlines, each_has_a_name_of_its_own) {
  std::set<std::string> names;
  for (const auto which : {deadline::connect, deadline::write, deadline::read_idle, deadline::write_idle,
                           deadline::idle, deadline::close, deadline::away})
    names.insert(to_string(which));
  EXPECT_EQ(names.size(), 7u);
}

}  // namespace
}  // namespace ferry::session
