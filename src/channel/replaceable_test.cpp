#include "channel/replaceable.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ferry::detail {
namespace {

TEST(replaceable, does_nothing_without_a_handler) {
  replaceable<int> none;
  EXPECT_FALSE(none);
  none(1);
}

TEST(replaceable, lives_until_it_returns_when_it_replaces_itself) {
  replaceable<int> handler;
  std::vector<std::string> told;
  handler = [&, mark = std::string(100, 'm')](int value) {
    handler = [&](int other) { told.push_back("second " + std::to_string(other)); };
    told.push_back(mark.substr(0, 1) + std::to_string(value));
  };
  handler(1);
  handler(2);
  EXPECT_EQ(told, (std::vector<std::string>{"m1", "second 2"}));
}

TEST(replaceable, keeps_the_state_of_its_handler) {
  replaceable<> handler;
  int seen = 0;
  handler = [&, calls = 0]() mutable { seen = ++calls; };
  handler();
  handler();
  EXPECT_EQ(seen, 2);
  handler = nullptr;
  EXPECT_FALSE(handler);
}

}  // namespace
}  // namespace ferry::detail
