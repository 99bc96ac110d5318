#include "base/allowance.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

TEST(allowance, lets_a_burst_pass_and_then_one_for_each_interval) {
  allowance one;
  time_point now{1h};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(one.take(now, 5, 10ms)) << i;
  EXPECT_FALSE(one.take(now, 5, 10ms));
  now += 10ms;
  EXPECT_TRUE(one.take(now, 5, 10ms));
  EXPECT_FALSE(one.take(now, 5, 10ms));
  now += 1h;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(one.take(now, 5, 10ms)) << "what was not used is no more than a burst: " << i;
  EXPECT_FALSE(one.take(now, 5, 10ms));
}

TEST(allowance, without_an_interval_has_no_limit) {
  allowance one;
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(one.take(time_point{}, 1, duration::zero()));
}

}  // namespace
}  // namespace ferry
