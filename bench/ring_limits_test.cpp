#include "bench/ring_limits.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ferry;
using namespace ferry::bench;

bool two_cores_here() { return two_cores().has_value(); }

TEST(ring_limits, have_a_figure_of_both_sides_for_every_round) {
  if (!two_cores_here()) GTEST_SKIP() << "wants two cores";
  ring_measurement what;
  what.rounds = 2;
  what.ring_bytes = 1 << 16;
  for (const auto measure :
       {measure_ring_round_trip, measure_ring_round_trip_to_pausing_line, measure_ring_rate, measure_ring_copies}) {
    what.size = measure == measure_ring_copies ? 8 << 10 : 64;
    const auto measured = measure(what, {});
    ASSERT_TRUE(measured) << measured.error().text();
    ASSERT_EQ(measured->ring.size(), 2u);
    ASSERT_EQ(measured->other.size(), 2u);
    for (const auto value : measured->ring) EXPECT_GT(value, 0);
    for (const auto value : measured->other) EXPECT_GT(value, 0);
    EXPECT_GT(measured->median_ratio(), 0);
  }
}

TEST(ring_limits, take_the_median_of_the_ratios_of_neighbours) {
  EXPECT_EQ((ring_comparison{{2, 30, 8}, {1, 10, 2}}).median_ratio(), 3);
  EXPECT_EQ(ring_comparison{}.median_ratio(), 0);
}

TEST(ring_limits, refuse_what_no_ring_can_be) {
  for (const auto& [size, ring_bytes, rounds] : {std::tuple<std::size_t, std::size_t, int>{64, 5000, 1},
                                                 {64, 1 << 24, 1},
                                                 {56, 1 << 16, 1},
                                                 {68, 1 << 16, 1},
                                                 {(1 << 14) + 24, 1 << 16, 1},
                                                 {64, 1 << 16, 0},
                                                 {64, 1 << 16, 1001}}) {
    const auto refused = measure_ring_rate({size, ring_bytes, rounds}, {});
    ASSERT_FALSE(refused) << size << ' ' << ring_bytes << ' ' << rounds;
    EXPECT_EQ(refused.error().reason(), errc::misuse) << refused.error().text();
  }
}

}  // namespace
