#include "base/seldom.hpp"

#include <gtest/gtest.h>

#include "testing/virtual_clock.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

TEST(seldom, tells_once_for_each_interval_and_how_many_were_left_out) {
  test::virtual_clock clock;
  seldom line(1s);
  EXPECT_EQ(line.tell(clock.now()), 0u);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(line.tell(clock.advance(333ms)));
  EXPECT_EQ(line.tell(clock.advance(1ms)), 3u);
  EXPECT_FALSE(line.tell(clock.now()));
  EXPECT_EQ(line.tell(clock.advance(1h)), 1u);
  EXPECT_EQ(line.tell(clock.advance(1h)), 0u);
  EXPECT_EQ(and_more(0), "");
  EXPECT_EQ(and_more(3), " (and 3 more since the last such line)");
}

}  // namespace
}  // namespace ferry
