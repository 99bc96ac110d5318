#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <stdexcept>
#include <thread>
#include <vector>

#include "socket/turn.hpp"

namespace ferry::sockets {
namespace {

using namespace std::chrono_literals;

constexpr auto k_patience = 60s;

/// An io_context that threads share, and a number that only who has the turn may touch.
class shared_turns : public ::testing::Test {
 protected:
  /// Does something with the turn.
  template <class F>
  void with_turn(F f) {
    turn.take();
    f();
    turn.give();
  }
  [[nodiscard]] bool wait(const shared_turn::condition& ready, std::chrono::milliseconds limit = k_patience) {
    turn.take();
    const bool in_time = turn.wait(ready, shared_turn::clock::now() + limit);
    turn.give();
    return in_time;
  }

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  int number = 0;          // with the turn only
  int news = 0, told = 0;  // news: with the turn only; told: by who tells
  shared_turn turn{io, [this] { return news != 0; }, [this] { tell(); }};

 private:
  void tell() {
    turn.take();
    told += std::exchange(news, 0);
    turn.give();
  }
};

TEST_F(shared_turns, are_had_by_one_thread_at_a_time) {
  constexpr int k_times = 2000;
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i)
    all.emplace_back([this] {
      for (int j = 0; j < k_times; ++j) with_turn([this] { ++number; });
    });
  for (auto& one : all) one.join();
  EXPECT_EQ(number, 4 * k_times);
}

TEST_F(shared_turns, are_given_away_by_a_thread_that_sleeps) {
  std::thread waiting([this] { EXPECT_TRUE(wait([this] { return number == 100; })); });
  for (int i = 0; i < 100; ++i) with_turn([this] { ++number; });
  waiting.join();
}

TEST_F(shared_turns, let_every_waiting_thread_see_what_it_waits_for) {
  std::vector<std::thread> all;
  for (int i = 1; i <= 8; ++i)
    all.emplace_back([this, i] { EXPECT_TRUE(wait([this, i] { return number >= i; })) << i; });
  for (int i = 0; i < 8; ++i) with_turn([this] { ++number; });
  for (auto& one : all) one.join();
}

TEST_F(shared_turns, run_handlers_on_whichever_thread_waits) {
  std::vector<std::thread> all;
  for (int i = 1; i <= 4; ++i)
    all.emplace_back([this, i] { EXPECT_TRUE(wait([this, i] { return number >= 10 * i; })) << i; });
  for (int i = 0; i < 40; ++i) boost::asio::post(io, [this] { ++number; });
  for (auto& one : all) one.join();
}

TEST_F(shared_turns, wait_no_longer_than_they_may_one_turning_and_one_beside) {
  std::vector<std::thread> all;
  std::atomic<int> late{0};
  for (int i = 0; i < 3; ++i) all.emplace_back([&] { late += wait([] { return false; }, 5ms) ? 0 : 1; });
  for (auto& one : all) one.join();
  EXPECT_EQ(late, 3);
}

TEST_F(shared_turns, go_on_when_the_thread_that_turned_has_left) {
  std::thread first([this] { EXPECT_TRUE(wait([this] { return number >= 1; })); });
  std::thread second([this] { EXPECT_TRUE(wait([this] { return number >= 2; })); });
  boost::asio::post(io, [this] { ++number; });
  std::thread third([this] {
    EXPECT_TRUE(wait([this] { return number >= 1; }));
    boost::asio::post(io, [this] { ++number; });
  });
  for (auto* one : {&first, &second, &third}) one->join();
}

TEST_F(shared_turns, go_on_when_a_handler_throws_at_the_thread_that_turned) {
  std::atomic<int> caught{0};
  const auto waiting = [&] {
    turn.take();
    try {
      EXPECT_TRUE(turn.wait([this] { return number == 1; }, shared_turn::clock::now() + k_patience));
    } catch (const std::runtime_error&) {
      ++caught;
    }
    turn.give();
  };
  std::thread first(waiting), second(waiting);
  boost::asio::post(io, [] { throw std::runtime_error("no memory"); });
  boost::asio::post(io, [this] { ++number; });
  first.join();
  second.join();
  EXPECT_EQ(caught, 1);
  EXPECT_TRUE(wait([this] { return number == 1; }));
  boost::asio::post(io, [this] { ++number; });
  EXPECT_TRUE(wait([this] { return number == 2; })) << "nobody is taken for turning who does not";
}

TEST_F(shared_turns, are_had_again_by_who_catches_what_a_handler_throws) {
  boost::asio::post(io, [] { throw std::runtime_error("no memory"); });
  turn.take();
  EXPECT_THROW((void)turn.wait([] { return false; }, shared_turn::clock::now() + k_patience), std::runtime_error);
  std::thread other([this] { with_turn([this] { number += 2; }); });
  EXPECT_EQ(number, 0);
  turn.give();
  other.join();
  EXPECT_EQ(number, 2);
}

TEST_F(shared_turns, tell_what_a_condition_throws_to_the_thread_that_waits_for_it) {
  std::thread turning([this] { EXPECT_TRUE(wait([this] { return number == 2; })); });
  std::atomic<bool> caught{false};
  std::atomic<bool> asked{false};
  std::thread waiting([&] {
    turn.take();
    try {
      (void)turn.wait(
          [&] {
            asked = true;
            if (number == 1) throw std::runtime_error("no memory");
            return false;
          },
          shared_turn::clock::now() + k_patience);
    } catch (const std::runtime_error&) {
      caught = true;
    }
    turn.give();
  });
  while (!asked) std::this_thread::yield();
  with_turn([this] { ++number; });
  waiting.join();
  EXPECT_TRUE(caught);
  with_turn([this] { ++number; });
  turning.join();
}

TEST_F(shared_turns, tell_the_news_without_having_the_turn) {
  std::thread waiting([this] { EXPECT_TRUE(wait([this] { return number == 50; })); });
  for (int i = 0; i < 50; ++i) {
    boost::asio::post(io, [this] { ++news, ++number; });
    with_turn([this] { ++news; });
  }
  waiting.join();
  with_turn([] {});
  EXPECT_EQ(told, 100);
}

TEST_F(shared_turns, may_be_waited_for_by_whoever_is_told) {
  int inner = 0;
  shared_turn nested(
      io, [&] { return news != 0; },
      [&] {
        nested.take();
        news = 0;
        boost::asio::post(io, [&] { inner = 1; });
        EXPECT_TRUE(nested.wait([&] { return inner == 1; }, shared_turn::clock::now() + k_patience));
        nested.give();
      });
  boost::asio::post(io, [&] { ++news; });
  nested.take();
  EXPECT_TRUE(nested.wait([&] { return inner == 1; }, shared_turn::clock::now() + k_patience));
  nested.give();
}

}  // namespace
}  // namespace ferry::sockets
