#include "base/rare.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferry {
namespace {

TEST(rare_value, takes_a_pointer_while_it_is_not_there) {
  EXPECT_EQ(sizeof(rare<std::string>), sizeof(void*));
  const rare<std::string> none;
  EXPECT_FALSE(none);
}

TEST(rare_value, is_there_once_it_is_assigned_or_needed_until_it_is_reset) {
  rare<std::string> one;
  one = std::string("a");
  ASSERT_TRUE(one);
  EXPECT_EQ(*one, "a");
  EXPECT_EQ(&one.need(), &*one);
  one.reset();
  EXPECT_FALSE(one);
  EXPECT_EQ(one.need(), "");
  EXPECT_TRUE(one);
}

TEST(rare_value, is_copied_and_moved_as_a_value) {
  rare<std::string> one;
  one = std::string("a");
  rare<std::string> copy = one;
  *copy += "b";
  EXPECT_EQ(*one, "a");
  const rare<std::string> moved = std::move(copy);
  EXPECT_EQ(*moved, "ab");
  one = moved;
  EXPECT_EQ(*one, "ab");
  one = rare<std::string>();
  EXPECT_FALSE(one);
}

}  // namespace
}  // namespace ferry
