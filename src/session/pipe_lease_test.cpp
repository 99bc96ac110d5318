#include "session/pipe_lease.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "testing/virtual_clock.hpp"

namespace ferry::session {
namespace {

TEST(pipe_lease, is_written_and_read_in_decimal) {
  const pipe_lease most{UINT64_MAX, INT64_MAX};
  EXPECT_EQ(to_text({20240229, 1'700'000'060}), "20240229 1700000060");
  EXPECT_EQ(parse_lease("20240229 1700000060"), (pipe_lease{20240229, 1'700'000'060}));
  EXPECT_EQ(parse_lease("20240229 1700000060\n"), (pipe_lease{20240229, 1'700'000'060}));
  EXPECT_EQ(parse_lease(to_text(most)), most);
}

TEST(pipe_lease, is_none_where_the_content_is_not_one) {
  for (const char* const garbage : {"", " ", "1", "1 ", " 1 2", "1  2", "1 2 3", "1 -2", "-1 2", "x 1", "1 x",
                                    "18446744073709551616 1", "1 9223372036854775808", "1\t2", "1 2x",
                                    "1 2                                                               "}) {
    EXPECT_FALSE(parse_lease(garbage)) << garbage;
  }
  EXPECT_FALSE(parse_lease({"1 2\0", 4}));
}

TEST(pipe_choice, falls_on_the_pipe_that_this_version_held_last_else_on_the_last_one) {
  const std::vector<free_pipe> none;
  EXPECT_FALSE(choose_pipe(none, 7));
  const std::vector<free_pipe> fresh{{0}, {1}, {2}};
  EXPECT_EQ(choose_pipe(fresh, 7), 2u);
  const std::vector<free_pipe> used{
      {0, pipe_lease{7, 100}}, {1, pipe_lease{7, 300}}, {2, pipe_lease{7, 200}}, {3, pipe_lease{8, 900}}};
  EXPECT_EQ(choose_pipe(used, 7), 1u);
  EXPECT_EQ(choose_pipe(used, 8), 3u);
  EXPECT_EQ(choose_pipe(used, 9), 3u);
  const std::vector<free_pipe> one{{4, pipe_lease{9, 1}}};
  EXPECT_EQ(choose_pipe(one, 1), 0u);
}

TEST(lease_keeper, renews_at_once_and_then_every_30_seconds) {
  test::virtual_clock clock;
  lease_keeper lease(clock.now());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lease.next(), clock.now());
    EXPECT_EQ(lease.on_time(clock.now()), lease_action::renew);
    EXPECT_EQ(lease.on_renewed(true, clock.now()), lease_action::none);
    EXPECT_EQ(lease.on_time(clock.advance(k_lease_renewal - std::chrono::nanoseconds(1))), lease_action::none);
    clock.advance(std::chrono::nanoseconds(1));
  }
}

TEST(lease_keeper, locks_again_when_it_cannot_write_and_is_lost_when_it_cannot_lock_either) {
  test::virtual_clock clock;
  lease_keeper lease(clock.now());
  EXPECT_EQ(lease.on_renewed(false, clock.now()), lease_action::relock);
  EXPECT_FALSE(lease.next());
  EXPECT_EQ(lease.on_relocked(true), lease_action::renew);
  EXPECT_EQ(lease.on_renewed(true, clock.now()), lease_action::none);
  EXPECT_EQ(lease.next(), clock.now() + k_lease_renewal);
  clock.advance(k_lease_renewal);
  EXPECT_EQ(lease.on_renewed(false, clock.now()), lease_action::relock);
  EXPECT_EQ(lease.on_relocked(false), lease_action::lost);
  EXPECT_TRUE(lease.lost());
  EXPECT_EQ(lease.on_relocked(true), lease_action::none) << "for good";
  EXPECT_EQ(lease.on_time(clock.advance(k_lease_renewal)), lease_action::none);
  EXPECT_FALSE(lease.next());
}

TEST(lease_keeper, is_lost_when_it_cannot_write_after_it_has_locked_again) {
  test::virtual_clock clock;
  lease_keeper lease(clock.now());
  EXPECT_EQ(lease.on_renewed(false, clock.now()), lease_action::relock);
  EXPECT_EQ(lease.on_relocked(true), lease_action::renew);
  EXPECT_EQ(lease.on_renewed(false, clock.now()), lease_action::lost);
  EXPECT_TRUE(lease.lost());
}

}  // namespace
}  // namespace ferry::session
