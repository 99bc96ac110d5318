#include "net/timers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "testing/watchdog.hpp"

namespace ferry::net {
namespace {

struct one_timer final : timers::entry {
  explicit one_timer(boost::asio::io_context& io_) : io(io_) {}
  ~one_timer() override { cancel_timer(io); }
  one_timer(const one_timer&) = delete;
  one_timer& operator=(const one_timer&) = delete;
  void on_time() override { then(); }
  void set(time_point when) { set_timer(io, when); }
  void cancel() { cancel_timer(io); }

  boost::asio::io_context& io;
  std::function<void()> then = [] {};
};

struct timers_of_a_loop : ::testing::Test {
  one_timer& add(int number) {
    all.push_back(std::make_unique<one_timer>(io));
    all.back()->then = [this, number] { called.push_back(number); };
    return *all.back();
  }
  [[nodiscard]] time_point past(int ms) const { return begin - std::chrono::milliseconds(ms); }
  [[nodiscard]] time_point future() const { return begin + std::chrono::hours(1); }

  boost::asio::io_context io;
  const time_point begin = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<one_timer>> all;
  std::vector<int> called;
};

TEST_F(timers_of_a_loop, are_called_in_the_order_of_their_times_whatever_the_order_in_which_they_were_set) {
  constexpr int k_count = 300;
  for (int i = 0; i < k_count; ++i) {
    const int number = i * 7 % k_count;
    add(number).set(past(k_count - number));
  }
  EXPECT_TRUE(called.empty()) << "called from inside";
  io.run();
  std::vector<int> expected(k_count);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(called, expected);
}

TEST_F(timers_of_a_loop, are_not_called_once_cancelled_and_the_others_are) {
  constexpr int k_count = 200;
  for (int i = 0; i < k_count; ++i) add(i).set(past(k_count - i * 11 % k_count));
  std::vector<int> expected;
  for (int i = 0; i < k_count; ++i) {
    if (i % 3 == 0)
      all[static_cast<std::size_t>(i)]->cancel();
    else
      expected.push_back(i);
  }
  std::sort(expected.begin(), expected.end(), [](int a, int b) { return a * 11 % k_count < b * 11 % k_count; });
  io.run();
  EXPECT_EQ(called, expected);
}

TEST_F(timers_of_a_loop, wait_for_their_time_which_the_clock_tells) {
  const auto when = begin + std::chrono::milliseconds(20);
  time_point at{};
  auto& one = add(1);
  one.then = [&] { at = std::chrono::steady_clock::now(); };
  one.set(when);
  io.run();
  EXPECT_GE(at, when);
}

TEST_F(timers_of_a_loop, move_to_earlier_times_and_never_to_later_ones) {
  auto& one = add(1);
  one.set(future());
  one.set(past(1));
  one.set(future());
  test::run_ready(io);
  EXPECT_EQ(called, std::vector<int>{1});
}

TEST_F(timers_of_a_loop, keep_the_loop_running_until_the_last_one_is_cancelled_or_gone) {
  add(1).set(future());
  add(2).set(future());
  test::run_ready(io);
  EXPECT_FALSE(io.stopped());
  all.front()->cancel();
  test::run_ready(io);
  EXPECT_FALSE(io.stopped());
  all.pop_back();
  test::run_ready(io);
  EXPECT_TRUE(io.stopped());
  EXPECT_TRUE(called.empty());
}

TEST_F(timers_of_a_loop, may_set_cancel_and_destroy_each_other_while_they_are_called) {
  add(1).then = [this] {
    called.push_back(1);
    if (called.size() == 1) all[0]->set(past(100));  // behind what is due now, in a turn of its own
    all[1].reset();
    all[2]->cancel();
  };
  all[0]->set(past(4));
  add(2).set(past(3));
  add(3).set(past(2));
  add(4).set(past(1));
  io.run();
  ASSERT_EQ(called.size(), 3u);
  EXPECT_EQ(std::count(called.begin(), called.end(), 1), 2);
  EXPECT_EQ(std::count(called.begin(), called.end(), 4), 1);
}

TEST_F(timers_of_a_loop, that_throw_leave_the_loop_and_the_others_are_called_when_it_is_turned_again) {
  add(1).then = [] { throw std::runtime_error("thrown"); };
  all[0]->set(past(2));
  add(2).set(past(1));
  EXPECT_THROW(io.run(), std::runtime_error);
  io.run();
  EXPECT_EQ(called, std::vector<int>{2});
}

TEST(timers_that_outlive_their_loop, are_not_set_any_more) {
  auto io = std::make_unique<boost::asio::io_context>();
  one_timer one(*io);
  one.set(std::chrono::steady_clock::now());
  io.reset();  // `one` touches nothing of it
}

}  // namespace
}  // namespace ferry::net
