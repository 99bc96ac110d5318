#include "net/turn_buffers.hpp"

#include <gtest/gtest.h>

namespace ferry::net {
namespace {

constexpr std::size_t k_small = 4096;
constexpr std::size_t k_large = 256u << 10;

struct turn_buffers_of_a_pool : ::testing::Test {
  [[nodiscard]] std::uint64_t asked() const { return pool.stats().hits + pool.stats().misses; }
  buffer_pool pool;
  turn_buffers passed;
};

TEST_F(turn_buffers_of_a_pool, lend_what_was_given_without_asking_the_pool) {
  passed.begin();
  for (int i = 0; i < 10; ++i) {
    auto small = passed.acquire(pool, k_small);
    auto large = passed.acquire(pool, k_large);
    ASSERT_GE(small.capacity(), k_small);
    ASSERT_GE(large.capacity(), k_large);
    passed.give(pool, std::move(small));
    passed.give(pool, std::move(large));
  }
  EXPECT_EQ(asked(), 2u);
}

TEST_F(turn_buffers_of_a_pool, lend_one_buffer_to_one_at_a_time) {
  passed.begin();
  passed.give(pool, passed.acquire(pool, k_small));
  const auto first = passed.acquire(pool, k_small);
  const auto second = passed.acquire(pool, k_small);
  EXPECT_NE(first.data(), second.data());
}

TEST_F(turn_buffers_of_a_pool, give_all_of_it_back_when_the_turn_ends) {
  passed.begin();
  passed.give(pool, passed.acquire(pool, k_small));
  passed.give(pool, passed.acquire(pool, k_large));
  EXPECT_EQ(pool.stats().bytes_lent, k_small + k_large);
  passed.end();
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(turn_buffers_of_a_pool, keep_nothing_outside_a_turn) {
  passed.give(pool, passed.acquire(pool, k_small));
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST_F(turn_buffers_of_a_pool, lend_nothing_too_small_and_nothing_far_too_large) {
  passed.begin();
  passed.give(pool, passed.acquire(pool, 64u << 10));
  EXPECT_GE(passed.acquire(pool, k_large).capacity(), k_large);
  passed.give(pool, passed.acquire(pool, 1u << 20));
  EXPECT_LT(passed.acquire(pool, 20u << 10).capacity(), 1u << 20);
}

TEST_F(turn_buffers_of_a_pool, lend_nothing_of_another_pool) {
  buffer_pool other;
  passed.begin();
  passed.give(pool, passed.acquire(pool, k_small));
  const auto foreign = passed.acquire(other, k_small);
  EXPECT_EQ(other.stats().bytes_lent, k_small);
  passed.give(other, passed.acquire(other, k_small));
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST(turn_buffers_of_a_small_pool, give_way_where_the_pool_has_no_more) {
  buffer_pool_options with;
  with.max_bytes = k_large;
  buffer_pool pool(with);
  turn_buffers passed;
  passed.begin();
  passed.give(pool, passed.acquire(pool, k_large));
  EXPECT_TRUE(passed.acquire(pool, k_small));
}

}  // namespace
}  // namespace ferry::net
