#include "net/accept_loop.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <vector>

#include "testing/watchdog.hpp"

namespace ferry::net {
namespace {

// Those who arrive are nobody: streams that are null, or errors.
struct played_acceptor final : acceptor {
  struct play {
    std::deque<result<std::shared_ptr<stream>>> arriving;
    std::function<void()> ready;
    int waits = 0;
    bool closed = false;
  };
  explicit played_acceptor(play& with_) : with(with_) {}
  result<std::shared_ptr<stream>> try_accept() override {
    if (with.arriving.empty()) return errc::would_block;
    auto first = std::move(with.arriving.front());
    with.arriving.pop_front();
    return first;
  }
  void async_wait(std::function<void()> ready) override {
    ++with.waits;
    with.ready = std::move(ready);
  }
  void close() noexcept override { with.closed = true; }
  [[nodiscard]] std::string local_url() const override { return "played://"; }
  play& with;
};

class accepting : public ::testing::Test {
 protected:
  void start() { it.start(std::make_unique<played_acceptor>(at)); }
  static void arrive(played_acceptor::play& where, int count) {
    for (int i = 0; i < count; ++i) where.arriving.emplace_back(std::shared_ptr<stream>());
  }

  played_acceptor::play at;
  int came = 0;
  std::vector<error> failed;
  boost::asio::io_context io{1};
  accept_loop it{io,
                 {[this](const std::shared_ptr<stream>&) {
                    if (++came == closes_at) it.close();
                  },
                  [this](const error& why) { failed.push_back(why); }}};
  int closes_at = 0;
};

TEST_F(accepting, takes_all_who_are_there_and_then_waits_again) {
  start();
  arrive(at, 3);
  at.ready();
  EXPECT_EQ(came, 3);
  EXPECT_EQ(at.waits, 2);
}

TEST_F(accepting, leaves_others_their_turn_after_so_many) {
  start();
  arrive(at, 100);
  at.ready();
  EXPECT_EQ(came, accept_loop::k_most_per_turn);
  at.ready();
  EXPECT_EQ(came, 100);
}

TEST_F(accepting, goes_on_after_who_could_not_come) {
  start();
  at.arriving.emplace_back(errc::auth);
  arrive(at, 1);
  at.ready();
  EXPECT_EQ(came, 1);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0], errc::auth);
}

TEST_F(accepting, pauses_where_there_is_no_room_and_does_not_wait_meanwhile) {
  start();
  at.arriving.emplace_back(errc::busy);
  arrive(at, 1);
  const auto begun = std::chrono::steady_clock::now();
  at.ready();
  EXPECT_EQ(came, 0);
  EXPECT_EQ(at.waits, 1);
  ASSERT_TRUE(test::run_until(
      io, [&] { return came == 1; }, "the end of the pause"));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, accept_loop::k_pause);
  EXPECT_EQ(at.waits, 2);
}

TEST_F(accepting, ends_where_it_is_closed_by_who_is_told) {
  start();
  closes_at = 2;
  arrive(at, 3);
  at.ready();
  EXPECT_EQ(came, 2);
  EXPECT_EQ(at.waits, 1);
  EXPECT_TRUE(at.closed);
  EXPECT_FALSE(it.is_open());
}

TEST_F(accepting, takes_who_had_arrived_before_it_goes_on_at_another_place) {
  start();
  arrive(at, 2);
  const auto stale = at.ready;
  played_acceptor::play next;
  it.start(std::make_unique<played_acceptor>(next));
  EXPECT_EQ(came, 2);
  EXPECT_TRUE(at.closed);
  arrive(next, 1);
  stale();
  EXPECT_EQ(came, 2) << "the place before calls no more";
  next.ready();
  EXPECT_EQ(came, 3);
}

TEST_F(accepting, is_not_called_any_more_after_its_end) {
  std::function<void()> late;
  {
    accept_loop brief(io, {[this](const std::shared_ptr<stream>&) { ++came; }, [](const error&) {}});
    brief.start(std::make_unique<played_acceptor>(at));
    late = at.ready;
    arrive(at, 1);
  }
  late();
  EXPECT_EQ(came, 0);
  EXPECT_TRUE(at.closed);
}

}  // namespace
}  // namespace ferry::net
