#include "session/backoff.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferry::session {
namespace {

using namespace std::chrono_literals;

constexpr double k_middle = 0.5;  // no jitter

time_point at(duration since_start) { return time_point(since_start); }

std::vector<duration> delays(backoff& b, int count, double random = k_middle) {
  std::vector<duration> out;
  for (int i = 0; i < count; ++i) out.push_back(b.next(random).value());
  return out;
}

TEST(backoff, grows_by_its_factor_up_to_the_longest_delay) {
  backoff b({.base = 100ms, .factor = 2, .jitter = 0, .max_delay = 1s});
  EXPECT_EQ(delays(b, 6), (std::vector<duration>{100ms, 200ms, 400ms, 800ms, 1s, 1s}));
}

TEST(backoff, by_default_starts_at_half_a_second_and_grows_by_three_fifths) {
  backoff b;
  EXPECT_EQ(delays(b, 3), (std::vector<duration>{500ms, 800ms, 1280ms}));
}

TEST(backoff, doubling_goes_from_one_second_to_ten) {
  backoff b(k_doubling_backoff);
  EXPECT_EQ(delays(b, 6, 0.9), (std::vector<duration>{1s, 2s, 4s, 8s, 10s, 10s}));
}

TEST(backoff, jitter_shortens_and_lengthens_by_its_share) {
  EXPECT_EQ(backoff().next(0), 400ms);
  EXPECT_EQ(backoff().next(0.25), 450ms);
  EXPECT_GT(backoff().next(0.999).value(), 599ms);
  EXPECT_LT(backoff().next(0.999).value(), 600ms);
}

TEST(backoff, is_never_longer_than_the_longest_delay_and_still_spread_there) {
  backoff b;
  for (int i = 0; i < 30; ++i) EXPECT_LE(b.next(0.9999).value(), 30s);
  EXPECT_GT(b.next(0.9999).value(), 29s);
  EXPECT_EQ(b.next(0).value(), 20s);
}

TEST(backoff, ends_when_the_attempts_are_used_up) {
  backoff b({.base = 1s, .max_attempts = 3});
  delays(b, 3);
  EXPECT_EQ(b.attempts(), 3u);
  EXPECT_FALSE(b.next(k_middle));
  EXPECT_FALSE(b.next(k_middle));
  b.reset();
  EXPECT_EQ(b.next(k_middle), 1s);
}

TEST(backoff, starts_over_only_after_a_connection_that_proved_itself) {
  const struct {
    const char* what;
    duration lived;
    bool heard;
    duration next;
  } rows[] = {
      {"lost at once", 0s, true, 400ms},
      {"shorter than the delay before it", 199ms, true, 400ms},
      {"as long as the delay before it", 200ms, true, 100ms},
      {"silent, as long as the delay before it", 200ms, false, 400ms},
      {"silent, a little less than twice as long", 399ms, false, 400ms},
      {"silent, twice as long", 400ms, false, 100ms},
  };
  for (const auto& row : rows) {
    backoff b({.base = 100ms, .factor = 2, .jitter = 0, .max_delay = 10s});
    ASSERT_EQ(delays(b, 2), (std::vector<duration>{100ms, 200ms}));
    b.on_up(at(1h));
    b.on_down(at(1h + row.lived), row.heard);
    EXPECT_EQ(b.next(k_middle), row.next) << row.what;
  }
}

TEST(backoff, goes_on_growing_when_every_connection_is_lost_at_once) {
  backoff b({.base = 100ms, .factor = 2, .jitter = 0, .max_delay = 1s});
  time_point now{};
  std::vector<duration> waited;
  for (int i = 0; i < 6; ++i) {
    b.on_up(now);
    now += 5ms;
    b.on_down(now, true);
    waited.push_back(b.next(k_middle).value());
    now += waited.back();
  }
  EXPECT_EQ(waited, (std::vector<duration>{100ms, 200ms, 400ms, 800ms, 1s, 1s}));
}

TEST(backoff, a_first_connection_must_live_as_long_as_the_first_delay) {
  backoff b({.base = 100ms, .max_attempts = 1});
  ASSERT_TRUE(b.next(k_middle));
  b.on_up(at(0s));
  b.on_down(at(99ms), true);
  EXPECT_FALSE(b.next(k_middle));
  b.on_up(at(1s));
  b.on_down(at(1100ms), true);
  EXPECT_TRUE(b.next(k_middle));
}

TEST(backoff, brings_values_outside_their_ranges_to_the_nearest_bound) {
  backoff b({.base = 1s, .factor = 0.1, .jitter = -3, .max_delay = 1ms});
  EXPECT_EQ(delays(b, 3, 7.0), (std::vector<duration>{1s, 1s, 1s}));
  backoff negative({.base = -1s, .jitter = 5});
  EXPECT_EQ(negative.next(0), 0s);
  backoff endless({.base = duration::max(), .max_delay = duration::max()});
  for (int i = 0; i < 3; ++i) EXPECT_LE(endless.next(0.9999).value(), k_longest_wait);
}

}  // namespace
}  // namespace ferry::session
