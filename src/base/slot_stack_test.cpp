#include "base/slot_stack.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ferry {
namespace {

TEST(slot_table, gives_every_slot_an_address_of_its_own_that_stays) {
  slot_table slots;
  std::set<const slot*> seen;
  const slot* first = nullptr;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(slots.add(), i);
    if (i == 0) first = &slots[0];
    seen.insert(&slots[i]);
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_EQ(first, &slots[0]);
}

TEST(slot_stack, gives_back_what_was_pushed_last_and_knows_how_many_lie_there) {
  slot_table slots;
  slot_stack stack;
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(stack.depth(slots), i);
    ASSERT_TRUE(stack.push(slots, slots.add()));
  }
  for (std::uint32_t i = 100; i-- > 0;) {
    EXPECT_EQ(stack.pop(slots), i);
    EXPECT_EQ(stack.depth(slots), i);
  }
  EXPECT_EQ(stack.pop(slots), slot_stack::k_none);
  EXPECT_EQ(stack.pops(), 100u);
}

TEST(slot_stack, once_closed_hands_out_the_rest_and_takes_nothing) {
  slot_table slots;
  slot_stack stack;
  const auto below = slots.add();
  const auto above = slots.add();
  ASSERT_TRUE(stack.push(slots, below));
  ASSERT_TRUE(stack.push(slots, above));
  EXPECT_EQ(stack.close(), above);
  EXPECT_EQ(slots[above].next.load(), below);
  EXPECT_EQ(slots[below].next.load(), slot_stack::k_none);
  EXPECT_FALSE(stack.push(slots, above));
  EXPECT_EQ(stack.pop(slots), slot_stack::k_none);
  EXPECT_EQ(stack.depth(slots), 0u);
  EXPECT_EQ(stack.close(), slot_stack::k_none);
}

TEST(slot_stack, keeps_counting_pops_past_what_its_word_can_hold) {
  constexpr auto k_start = (std::uint64_t{1} << 40) - 2;
  slot_table slots;
  slot_stack stack(k_start);
  const auto index = slots.add();
  for (std::uint64_t i = 1; i <= 4; ++i) {
    ASSERT_TRUE(stack.push(slots, index));
    ASSERT_EQ(stack.pop(slots), index);
    EXPECT_EQ(stack.pops(), k_start + i);
  }
}

}  // namespace
}  // namespace ferry
