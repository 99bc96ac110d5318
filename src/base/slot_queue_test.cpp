#include "base/slot_queue.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferry {
namespace {

constexpr auto k_none = slot_queue::k_none;

TEST(slot_queue, gives_first_what_was_pushed_first) {
  slot_queue queue(8);
  EXPECT_EQ(queue.pop(), k_none);
  for (std::uint32_t round = 0; round < 100; ++round) {
    for (std::uint32_t i = 0; i < 5; ++i) ASSERT_TRUE(queue.push(round * 10 + i));
    EXPECT_EQ(queue.depth(), 5u);
    for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(queue.pop(), round * 10 + i);
    EXPECT_EQ(queue.pop(), k_none);
  }
  EXPECT_EQ(queue.pops(), 500u);
}

TEST(slot_queue, takes_no_more_than_it_holds) {
  const std::pair<std::size_t, std::size_t> sizes[] = {{0, 0}, {1, 2}, {2, 2}, {7, 4}, {8, 8}};
  for (const auto& [asked, held] : sizes) {
    slot_queue queue(asked);
    EXPECT_EQ(queue.capacity(), held);
    for (int round = 0; round < 3; ++round) {
      for (std::uint32_t i = 0; i < held; ++i) EXPECT_TRUE(queue.push(i)) << asked;
      EXPECT_FALSE(queue.push(99)) << asked;
      for (std::uint32_t i = 0; i < held; ++i) EXPECT_EQ(queue.pop(), i) << asked;
      EXPECT_EQ(queue.pop(), k_none) << asked;
    }
  }
}

TEST(slot_queue, that_is_closed_hands_out_what_is_left_once_and_takes_nothing_more) {
  slot_queue queue(4);
  for (const std::uint32_t index : {7u, 8u, 9u, 10u}) ASSERT_TRUE(queue.push(index));
  EXPECT_EQ(queue.pop(), 7u);
  EXPECT_TRUE(queue.push(11));
  EXPECT_EQ(queue.pop(), 8u);
  std::vector<std::uint32_t> left;
  queue.close([&](std::uint32_t index) { left.push_back(index); });
  EXPECT_EQ(left, (std::vector<std::uint32_t>{11, 9, 10})) << "cell by cell";
  EXPECT_FALSE(queue.push(12));
  EXPECT_EQ(queue.depth(), 0u);
  queue.close([](std::uint32_t) { FAIL(); });
}

}  // namespace
}  // namespace ferry
