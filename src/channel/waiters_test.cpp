#include "channel/waiters.hpp"

#include <ferry/detail/completion.hpp>
#include <ferry/error.hpp>

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <vector>

#include "testing/watchdog.hpp"

namespace ferry::detail {
namespace {

namespace asio = boost::asio;
using waiting = waiters<completion<error_code>, int>;

struct list_of_waiters : ::testing::Test {
  struct holder {
    waiting list;
  };
  void add(int number, asio::cancellation_slot slot = {}) {
    completion<error_code> done(io.get_executor(), asio::bind_cancellation_slot(slot, [this, number](error_code code) {
                                  told.emplace_back(number, code);
                                }));
    owner->list.add(owner, &holder::list, io, std::move(done), number,
                    [](completion<error_code>& one) { one(errc::cancelled); });
  }
  asio::io_context io;
  std::shared_ptr<holder> owner = std::make_shared<holder>();
  std::vector<std::pair<int, error_code>> told;
};

TEST_F(list_of_waiters, completes_them_in_order_and_never_from_inside) {
  for (const int number : {1, 2, 3}) add(number);
  EXPECT_EQ(owner->list.front().extra, 1);
  owner->list.pop()({});
  EXPECT_TRUE(told.empty());
  for (auto& one : owner->list.take_all()) one.done(errc::closed);
  EXPECT_TRUE(owner->list.empty());
  test::run_ready(io);
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0], (std::pair<int, error_code>(1, {})));
  EXPECT_EQ(told[1], (std::pair<int, error_code>(2, make_error_code(errc::closed))));
  EXPECT_EQ(told[2].first, 3);
}

TEST_F(list_of_waiters, loses_the_one_that_is_cancelled) {
  asio::cancellation_signal signal;
  add(1);
  add(2, signal.slot());
  add(3);
  signal.emit(asio::cancellation_type::terminal);
  test::run_ready(io);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0], (std::pair<int, error_code>(2, make_error_code(errc::cancelled))));
  EXPECT_EQ(owner->list.take_all().size(), 2u);
}

TEST_F(list_of_waiters, ignores_a_cancellation_that_comes_too_late) {
  asio::cancellation_signal signal;
  add(1, signal.slot());
  signal.emit(asio::cancellation_type::terminal);
  owner->list.pop()({});
  test::run_ready(io);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].second);
  signal.emit(asio::cancellation_type::terminal);
  test::run_ready(io);
  EXPECT_EQ(told.size(), 1u);
}

TEST_F(list_of_waiters, may_be_gone_when_one_is_cancelled) {
  asio::cancellation_signal signal;
  add(1, signal.slot());
  signal.emit(asio::cancellation_type::terminal);
  owner.reset();
  test::run_ready(io);
  EXPECT_TRUE(told.empty());
}

TEST_F(list_of_waiters, keeps_the_event_loop_running_while_somebody_waits) {
  add(1);
  EXPECT_EQ(io.poll(), 0u);
  EXPECT_FALSE(io.stopped());
  owner->list.pop()({});
  io.run();
  EXPECT_EQ(told.size(), 1u);
  EXPECT_TRUE(io.stopped());
}

}  // namespace
}  // namespace ferry::detail
