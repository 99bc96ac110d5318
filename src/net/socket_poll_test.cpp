// Connected sockets that are watched together.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "net/socket_stream.hpp"
#include "testing/watchdog.hpp"

namespace ferry::net {
namespace {

struct told final : stream_events, bare_reader {
  void on_read(result<std::size_t> outcome) override {
    reads.push_back(outcome);
    if (then) then();
  }
  void on_readable() override { on_read(std::size_t{0}); }
  void on_writable() override { ++writable; }
  std::vector<result<std::size_t>> reads;
  int writable = 0;
  std::function<void()> then;
};

struct watched_sockets : ::testing::Test {
  void add() {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    peers.emplace_back(ends[1]);
    auto made = socket_stream::make(io, os::unique_fd(ends[0]), {});
    ASSERT_TRUE(made) << made.error().text();
    streams.push_back(std::static_pointer_cast<socket_stream>(*made));
    events.push_back(std::make_unique<told>());
    streams.back()->attach(*events.back(), nullptr);
  }
  void add(int n) {
    for (int i = 0; i < n; ++i) ASSERT_NO_FATAL_FAILURE(add());
  }
  void put(std::size_t i, std::string_view text) {
    ASSERT_EQ(::write(peers[i].get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] std::size_t reads() const {
    std::size_t all = 0;
    for (const auto& one : events) all += one->reads.size();
    return all;
  }
  ~watched_sockets() override {
    for (const auto& one : streams) one->close();
  }

  boost::asio::io_context io;
  std::vector<os::unique_fd> peers;
  std::vector<std::unique_ptr<told>> events;
  std::vector<std::shared_ptr<socket_stream>> streams;
  std::array<std::byte, 100> into{};
};

TEST_F(watched_sockets, tell_without_a_buffer_that_something_came) {
  add(1);
  ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
  test::run_ready(io);
  EXPECT_EQ(reads(), 0u);
  put(0, "abc");
  test::run_ready(io);
  ASSERT_EQ(reads(), 1u);
  EXPECT_EQ(*events[0]->reads[0], 0u);
  EXPECT_EQ(*streams[0]->try_read(into), 3u);
}

// The kernel tells of a change once: what is not read then must not be forgotten.
TEST_F(watched_sockets, tell_again_of_what_was_read_in_part_only) {
  add(1);
  put(0, "abcdef");
  for (std::size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
    test::run_ready(io);
    ASSERT_EQ(reads(), i);
    EXPECT_EQ(*streams[0]->try_read(mutable_bytes(into).first(2)), 2u);
  }
  EXPECT_EQ(streams[0]->try_read(into).error(), errc::would_block);
}

TEST_F(watched_sockets, tell_of_the_end_that_came_together_with_the_last_bytes) {
  add(2);
  for (std::size_t i = 0; i < 2; ++i) {
    put(i, "last");
    peers[i].reset();
  }
  ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
  streams[1]->async_read(into);
  test::run_ready(io);
  ASSERT_EQ(reads(), 2u);
  EXPECT_EQ(*events[1]->reads[0], 4u);
  EXPECT_EQ(*streams[0]->try_read(into), 4u);  // less than there was room for
  ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
  streams[1]->async_read(into);
  test::run_ready(io);
  ASSERT_EQ(reads(), 4u);
  EXPECT_EQ(events[1]->reads[1].error(), errc::end_of_stream);
  EXPECT_EQ(streams[0]->try_read(into).error(), errc::end_of_stream);
}

TEST_F(watched_sockets, tell_of_bytes_that_came_while_nobody_waited) {
  add(2);
  ASSERT_TRUE(streams[1]->async_wait_readable(*events[1]));
  put(0, "early");
  put(1, "x");
  test::run_ready(io);  // the event list is read for the other one's sake
  ASSERT_EQ(events[1]->reads.size(), 1u);
  ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
  test::run_ready(io);
  EXPECT_EQ(events[0]->reads.size(), 1u);
}

// Whoever is told last and throws must not take the wait of all the others with it.
TEST_F(watched_sockets, tell_the_others_after_a_handler_that_was_told_alone_has_thrown) {
  add(2);
  for (std::size_t i = 0; i < streams.size(); ++i) ASSERT_TRUE(streams[i]->async_wait_readable(*events[i]));
  events[0]->then = [] { throw std::runtime_error("thrown by a handler"); };
  put(0, "x");
  EXPECT_THROW(test::run_ready(io), std::runtime_error);
  put(1, "y");
  test::run_ready(io);
  EXPECT_EQ(events[1]->reads.size(), 1u);
}

TEST_F(watched_sockets, tell_nothing_more_of_one_that_another_ones_handler_has_closed) {
  add(8);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    ASSERT_TRUE(streams[i]->async_wait_readable(*events[i]));
    put(i, "x");
    events[i]->then = [this, i] {
      for (std::size_t other = 0; other < streams.size(); ++other)
        if (other != i && streams[other]) std::exchange(streams[other], nullptr)->close();
    };
  }
  test::run_ready(io);
  EXPECT_EQ(reads(), 1u);
  std::erase(streams, nullptr);
}

TEST_F(watched_sockets, keep_alive_until_it_has_returned_who_is_told_and_closes) {
  add(1);
  auto owner = std::make_shared<int>(0);
  const std::weak_ptr<int> still_there = owner;
  streams[0]->attach(*events[0], std::move(owner));
  ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
  put(0, "x");
  bool alive = false;
  events[0]->then = [&] {
    streams[0]->close();
    alive = !still_there.expired();
  };
  test::run_ready(io);
  EXPECT_EQ(reads(), 1u);
  EXPECT_TRUE(alive);
  EXPECT_TRUE(still_there.expired());
}

TEST_F(watched_sockets, are_told_of_after_a_handler_has_thrown) {
  add(8);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    ASSERT_TRUE(streams[i]->async_wait_readable(*events[i]));
    put(i, "x");
    events[i]->then = [] { throw std::runtime_error("from a handler"); };
  }
  for (std::size_t i = 0; i < streams.size(); ++i) EXPECT_THROW(test::run_ready(io), std::runtime_error);
  test::run_ready(io);
  EXPECT_EQ(reads(), 8u);
}

// Each gives back what it used before the next one is told.
TEST_F(watched_sockets, pass_a_buffer_on_to_each_other_and_give_it_back_when_all_have_been_told) {
  buffer_pool pool;
  auto& passed = boost::asio::use_service<socket_poll>(io).buffers();
  add(5);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    events[i]->then = [&] { passed.give(pool, passed.acquire(pool, 4096)); };
    ASSERT_TRUE(streams[i]->async_wait_readable(*events[i]));
    put(i, "x");
  }
  test::run_ready(io);
  EXPECT_EQ(reads(), 5u);
  const auto after = pool.stats();
  EXPECT_EQ(after.hits + after.misses, 1u);
  EXPECT_EQ(after.bytes_lent, 0u);
}

TEST_F(watched_sockets, are_work_for_the_io_context_while_somebody_waits_only) {
  add(2);
  ASSERT_TRUE(streams[0]->async_wait_readable(*events[0]));
  streams[1]->async_read(into);
  test::run_ready(io);
  EXPECT_FALSE(io.stopped());
  streams[0]->close();
  test::run_ready(io);
  EXPECT_FALSE(io.stopped());
  streams[1]->close();
  test::run_ready(io);
  EXPECT_TRUE(io.stopped());
}

TEST_F(watched_sockets, tell_of_room_each_time_it_is_waited_for) {
  add(1);
  const std::string block(1u << 16, 'x');
  const std::array<bytes, 1> parts{as_bytes(block)};
  std::vector<std::byte> drain(1u << 22);
  for (int round = 1; round <= 3; ++round) {
    while (streams[0]->try_write(parts)) {
    }
    streams[0]->async_wait_writable();
    test::run_ready(io);
    EXPECT_EQ(events[0]->writable, round - 1);
    while (::read(peers[0].get(), drain.data(), drain.size()) > 0) {
    }
    test::run_ready(io);
    EXPECT_EQ(events[0]->writable, round);
    streams[0]->async_wait_writable();  // there is room already
    test::run_ready(io);
    EXPECT_EQ(events[0]->writable--, round + 1);
  }
}

}  // namespace
}  // namespace ferry::net
