#include "base/late_look.hpp"

#include <gtest/gtest.h>

#include "testing/virtual_clock.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

TEST(late_look, counts_where_it_is_not_late) {
  test::virtual_clock clock;
  late_look look;
  const auto due = clock.now();
  for (const auto late : {0ns, 1ns, 49'999'999ns}) EXPECT_FALSE(look.put_off(due, clock.advance_to(due + late)));
}

TEST(late_look, is_put_off_once_by_as_much_as_it_is_late_and_a_second_at_most) {
  test::virtual_clock clock;
  late_look look;
  for (int i = 0; i < 2; ++i) {
    const auto due = clock.now();
    auto now = clock.advance(300ms);
    auto next = look.put_off(due, now);
    EXPECT_EQ(next, now + 300ms);
    now = clock.advance_to(*next + 1h);
    EXPECT_FALSE(look.put_off(*next, now)) << "else who is always late would never look";
    next = look.put_off(now, clock.advance(10h));
    EXPECT_EQ(next, clock.now() + 1s);
    EXPECT_FALSE(look.put_off(*next, clock.advance_to(*next)));
  }
}

}  // namespace
}  // namespace ferry
