#include "channel/replaceable.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace ferry::detail {
namespace {

TEST(replaceable, does_nothing_without_a_handler) {
  replaceable<int> none;
  EXPECT_FALSE(none);
  boost::asio::io_context loop;
  none(loop, 1);
}

TEST(replaceable, lives_until_it_returns_when_it_replaces_itself) {
  replaceable<int> handler;
  std::vector<std::string> told;
  handler = [&, mark = std::string(100, 'm')](int value) {
    handler = [&](int other) { told.push_back("second " + std::to_string(other)); };
    told.push_back(mark.substr(0, 1) + std::to_string(value));
  };
  boost::asio::io_context loop;
  handler(loop, 1);
  handler(loop, 2);
  EXPECT_EQ(told, (std::vector<std::string>{"m1", "second 2"}));
}

TEST(replaceable, keeps_the_state_of_its_handler) {
  replaceable<> handler;
  int seen = 0;
  handler = [&, calls = 0]() mutable { seen = ++calls; };
  boost::asio::io_context loop;
  handler(loop);
  handler(loop);
  EXPECT_EQ(seen, 2);
  handler = nullptr;
  EXPECT_FALSE(handler);
}

TEST(replaceable, lets_what_its_handler_throws_leave_the_event_loop_and_not_the_call) {
  replaceable<int> handler;
  boost::asio::io_context loop;
  handler = [](int value) { throw std::out_of_range(std::to_string(value)); };
  EXPECT_NO_THROW(handler(loop, 1));
  EXPECT_THROW(loop.run(), std::out_of_range);
  EXPECT_EQ(loop.run(), 0u) << "once";
}

}  // namespace
}  // namespace ferry::detail
