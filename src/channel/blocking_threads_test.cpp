// The blocking API, caller-driven and on a runner: two ends need two threads.
#include <ferry/blocking.hpp>

#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <thread>
#include <vector>

#include "testing/temp_dir.hpp"

namespace {

using ferry::errc;
using namespace std::chrono_literals;

// Whether the I/O is done by the calls, or by a runner of the test's own on each side.
enum class driven { by_calls, by_runner };

class blocking_api : public ::testing::TestWithParam<driven> {
 protected:
  [[nodiscard]] ferry::runner* runner() { return GetParam() == driven::by_runner ? &runner_.emplace() : nullptr; }
  [[nodiscard]] std::string url() const { return "ipc://" + directory_.file("s"); }

 private:
  ferry::test::temp_dir directory_;
  std::optional<ferry::runner> runner_;
};

INSTANTIATE_TEST_SUITE_P(both, blocking_api, ::testing::Values(driven::by_calls, driven::by_runner),
                         [](const auto& each) { return each.param == driven::by_calls ? "by_calls" : "by_runner"; });

TEST_P(blocking_api, answers_until_the_peer_ends_in_order) {
  auto listener = ferry::listen(url(), {}, runner());
  std::thread client([&] {
    auto peer = ferry::connect(url());
    for (int i = 0; i < 1000; ++i) {
      peer.send(std::to_string(i));
      const auto answer = peer.receive();
      ASSERT_TRUE(answer);
      ASSERT_EQ(answer->text(), std::to_string(i));
    }
    const auto closed = peer.close();
    EXPECT_FALSE(closed.reason) << closed.reason.message();
    EXPECT_EQ(closed.messages_maybe_lost, 0u);
  });
  auto peer = listener.accept();
  int served = 0;
  while (const auto message = peer.receive()) {
    peer.send(message->text());
    ++served;
  }
  client.join();
  EXPECT_EQ(served, 1000);
}

TEST_P(blocking_api, answers_everything_to_a_peer_that_has_ended_its_own_direction) {
  auto listener = ferry::listen(url(), {}, runner());
  constexpr int k_messages = 2000;
  std::thread client([&] {
    auto peer = ferry::connect(url());
    for (int i = 0; i < k_messages; ++i) peer.send(std::to_string(i));
    peer.half_close();
    int answered = 0;
    while (const auto answer = peer.receive()) ASSERT_EQ(answer->text(), std::to_string(answered++));
    EXPECT_EQ(answered, k_messages);
  });
  auto peer = listener.accept();
  while (const auto message = peer.receive()) peer.send(message->text());
  client.join();
}

TEST_P(blocking_api, waits_for_room_when_the_peer_is_slow_and_loses_nothing) {
  ferry::options small;
  small.send_queue_bytes = 64 << 10;
  small.receive_queue_bytes = 64 << 10;
  auto listener = ferry::listen(url(), small, runner());
  constexpr int k_messages = 3000;
  std::thread client([&] {
    auto peer = ferry::connect(url(), small);
    std::vector<std::byte> payload(4000);
    for (int i = 0; i < k_messages; ++i) {
      std::memcpy(payload.data(), &i, sizeof i);
      peer.send(payload);
    }
    EXPECT_FALSE(peer.close().reason);
  });
  auto peer = listener.accept();
  int expected = 0;
  while (const auto message = peer.receive()) {
    int number = -1;
    std::memcpy(&number, message->payload().data(), sizeof number);
    ASSERT_EQ(number, expected++);
  }
  client.join();
  EXPECT_EQ(expected, k_messages);
}

TEST_P(blocking_api, says_when_a_deadline_passed_and_can_be_asked_again) {
  auto listener = ferry::listen(url(), {}, runner());
  std::error_code failed;
  (void)listener.accept(1ms, failed);
  EXPECT_EQ(failed, errc::timeout);
  auto client = ferry::connect(url());
  auto peer = listener.accept();
  EXPECT_FALSE(peer.receive(1ms, failed));
  EXPECT_EQ(failed, errc::timeout);
  EXPECT_THROW((void)peer.receive(1ms), ferry::failure);
  EXPECT_FALSE(peer.try_receive(failed));
  EXPECT_EQ(failed, errc::would_block);
  client.send("late");
  const auto message = peer.receive();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text(), "late");
}

TEST_P(blocking_api, has_a_descriptor_that_says_when_to_receive) {
  auto listener = ferry::listen(url(), {}, runner());
  auto client = ferry::connect(url());
  auto peer = listener.accept();
  pollfd ready{peer.readiness_fd(), POLLIN, 0};
  ASSERT_GE(ready.fd, 0);
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
  client.send("one");
  if (GetParam() == driven::by_calls) {
    ASSERT_EQ(peer.receive()->text(), "one");
    return;  // nothing is received between calls, so there is nothing to poll for
  }
  ASSERT_EQ(::poll(&ready, 1, 60'000), 1);
  std::error_code failed;
  EXPECT_EQ(peer.try_receive(failed)->text(), "one");
  EXPECT_FALSE(peer.try_receive(failed));
  EXPECT_EQ(::poll(&ready, 1, 0), 0) << "quiet once try_receive has found nothing";
}

TEST_P(blocking_api, throws_the_whole_story_when_nobody_listens) {
  try {
    (void)ferry::connect(url(), {}, runner());
    FAIL() << "connected to nobody";
  } catch (const ferry::failure& f) {
    EXPECT_EQ(f.reason(), errc::not_found);
    EXPECT_EQ(f.system_errno(), ENOENT);
    EXPECT_NE(std::string(f.what()).find(url().substr(6)), std::string::npos) << f.what();
  }
  EXPECT_THROW((void)ferry::listen("ipc://relative"), ferry::failure);
}

TEST(runner, refuses_a_blocking_call_that_would_wait_for_itself) {
  ferry::runner io;
  ferry::test::temp_dir directory;
  auto listener = ferry::listen("ipc://" + directory.file("s"), {}, &io);
  const auto reason = io.run([&] {
    try {
      (void)listener.accept();
    } catch (const ferry::failure& f) {
      return f.reason();
    }
    return errc::closed;
  });
  EXPECT_EQ(reason, errc::misuse);
}

TEST(runner, hands_back_values_and_exceptions) {
  ferry::runner io;
  EXPECT_FALSE(io.on_its_thread());
  EXPECT_TRUE(io.run([&] { return io.on_its_thread(); }));
  EXPECT_THROW(io.run([] { throw std::runtime_error("thrown there"); }), std::runtime_error);
}

TEST(blocking_channel, takes_messages_from_several_threads_on_a_runner) {
  ferry::test::temp_dir directory;
  const std::string url = "ipc://" + directory.file("s");
  ferry::runner io;
  auto listener = ferry::listen(url, {}, &io);
  auto sender = ferry::connect(url, {}, &io);
  auto receiver = listener.accept();
  constexpr int k_each = 5000;
  const auto send_numbers = [&](char name) {
    for (int i = 0; i < k_each; ++i) sender.send(name + std::to_string(i));
  };
  std::thread a(send_numbers, 'a');
  std::thread b(send_numbers, 'b');
  int next_a = 0;
  int next_b = 0;
  for (int i = 0; i < 2 * k_each; ++i) {
    const auto message = receiver.receive();
    ASSERT_TRUE(message);
    int& next = message->text()[0] == 'a' ? next_a : next_b;
    EXPECT_EQ(message->text().substr(1), std::to_string(next++)) << "each sender's order is kept";
  }
  a.join();
  b.join();
  EXPECT_EQ(next_a, k_each);
  EXPECT_EQ(next_b, k_each);
}

}  // namespace
