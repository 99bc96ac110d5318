#include "base/kept_error.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferry {
namespace {

TEST(kept_error, is_nothing_until_something_is_kept_and_after_a_reset) {
  kept_error one;
  EXPECT_FALSE(one);
  one = error(errc::reset, "broken");
  ASSERT_TRUE(one);
  EXPECT_EQ(*one, errc::reset);
  EXPECT_EQ(one->text(), "broken");
  one.reset();
  EXPECT_FALSE(one);
}

TEST(kept_error, is_copied_and_replaced) {
  kept_error one, other;
  one = other = error(errc::reset, "broken");
  EXPECT_EQ(one->text(), "broken");
  one = errc::closed;
  EXPECT_EQ(*one, errc::closed);
  EXPECT_EQ(other->text(), "broken");
  const kept_error none;
  other = none;
  EXPECT_FALSE(other);
}

TEST(described_error, is_the_code_alone_where_there_is_no_memory_for_its_text) {
  const auto with = described(errc::closed, [] { return std::string("why"); });
  EXPECT_EQ(with.text(), "why");
  const auto without = described(errc::closed, []() -> std::string { throw std::bad_alloc(); });
  EXPECT_EQ(without, errc::closed);
  EXPECT_EQ(without.text(), to_string(errc::closed));
}

}  // namespace
}  // namespace ferry
