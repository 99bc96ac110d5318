// Ending one side at a time, so that it is known to the byte what was taken.
#include <ferry/listener.hpp>
#include <ferry/url.hpp>

#include <gtest/gtest.h>

#include <vector>

#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::raw_unix;
using test::run_until;
using test::varint_frame;

class draining : public ::testing::Test {
 protected:
  // A channel to a bare peer, which has been accepted.
  struct connected {
    raw_unix peer;
    channel here;
  };
  connected connect() {
    auto listening = raw_unix::listen(path);
    connected made{{}, channel::open(where, url).value()};
    EXPECT_TRUE(run_until(
        io, [&] { return made.here.state() == channel_state::up; }, "the channel"));
    made.peer = listening.accept();
    made.here.on_message([this](const message_view& m) { received.emplace_back(m.text()); });
    made.here.on_down([this](const down_info& info) { down = info; });
    return made;
  }
  [[nodiscard]] ::testing::AssertionResult ends() {
    return run_until(
        io, [&] { return down.has_value(); }, "the end");
  }

  test::temp_dir files;
  const std::string path = files.file("a.sock");
  const std::string url = "ipc://" + path;
  boost::asio::io_context io;
  context where{io};
  std::vector<std::string> received;
  std::optional<down_info> down;
};

TEST_F(draining, end_receiving_delivers_what_has_come_and_refuses_what_comes_later) {
  auto [peer, here] = connect();
  EXPECT_EQ(peer.send(varint_frame("one") + varint_frame("two")), 0);
  EXPECT_TRUE(here.end_receiving());
  EXPECT_EQ(peer.send(varint_frame("three")), EPIPE);
  ASSERT_TRUE(ends());
  EXPECT_EQ(received, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(down->reason, errc::end_of_stream);
  EXPECT_EQ(down->bytes_unread, 0u);
  EXPECT_EQ(here.end_receiving().error(), errc::closed);
}

TEST_F(draining, tells_how_many_bytes_of_an_unfinished_message_were_left) {
  auto [peer, here] = connect();
  EXPECT_EQ(peer.send(varint_frame("whole") + varint_frame(std::string(100, 'h')).substr(0, 41)), 0);
  EXPECT_TRUE(here.end_receiving());
  ASSERT_TRUE(ends());
  EXPECT_EQ(down->reason, errc::truncated);
  EXPECT_EQ(down->bytes_unread, 41u);
}

TEST_F(draining, tells_how_many_bytes_a_cut_left_in_the_kernel_and_here) {
  auto [peer, here] = connect();
  EXPECT_EQ(peer.send(varint_frame("a part of it").substr(0, 5)), 0);
  ASSERT_TRUE(run_until(
      io, [&, &it = here] { return it.stats().bytes_received == 5; }, "the part"));
  EXPECT_EQ(peer.send(std::string(1000, 'x')), 0);
  here.cut();
  ASSERT_TRUE(ends());
  EXPECT_EQ(down->bytes_unread, 1005u);
}

TEST_F(draining, end_receiving_is_refused_where_the_stream_cannot) {
  auto arrivals = listener::open(where, "inproc://a").value();
  auto here = channel::open(where, "inproc://a").value();
  EXPECT_EQ(here.end_receiving().error(), errc::closed);
  channel other;
  arrivals.on_channel([&](channel arrived) { other = std::move(arrived); });
  ASSERT_TRUE(run_until(
      io, [&] { return here.state() == channel_state::up; }, "the channel"));
  EXPECT_EQ(here.end_receiving().error(), errc::unsupported);
  EXPECT_EQ(here.state(), channel_state::up);
}

TEST_F(draining, a_listener_hands_over_who_waits_and_refuses_who_comes) {
  auto arrivals = listener::open(where, url).value();
  std::vector<channel> arrived;
  arrivals.on_channel([&](channel one) { arrived.push_back(std::move(one)); });
  const auto first = raw_unix::connect(path);
  const auto second = raw_unix::connect(path);
  arrivals.drain();
  EXPECT_EQ(arrived.size(), 2u);
  EXPECT_THROW((void)raw_unix::connect(path), std::system_error);
  arrivals.drain();
  arrivals.close();
}

TEST_F(draining, a_listener_that_is_closed_while_it_hands_over_stops_there) {
  auto arrivals = listener::open(where, url).value();
  int arrived = 0;
  arrivals.on_channel([&](const channel&) {
    ++arrived;
    arrivals.close();
  });
  const auto first = raw_unix::connect(path);
  const auto second = raw_unix::connect(path);
  arrivals.drain();
  EXPECT_EQ(arrived, 1);
}

TEST_F(draining, a_prepared_channel_queues_and_connects_when_it_is_told_to) {
  const auto listening = raw_unix::listen(path);
  endpoint to;
  to.scheme = "ipc";
  to.path = path;
  auto here = channel::prepare(where, to).value();
  ASSERT_TRUE(here.try_send("early"));
  test::run_ready(io);
  EXPECT_FALSE(listening.ready());
  here.connect();
  here.connect();
  ASSERT_TRUE(run_until(
      io, [&] { return listening.ready(); }, "the connection"));
  const auto peer = listening.accept();
  std::string got;
  ASSERT_TRUE(run_until(
      io, [&] { return (got += peer.read_some()).size() == 6; }, "the message"));
  EXPECT_EQ(got, varint_frame("early"));
  EXPECT_FALSE(listening.ready());
}

TEST_F(draining, every_failed_attempt_to_connect_is_told) {
  options with;
  with.reconnect = true;
  with.reconnect_base = 1ms;
  with.reconnect_max = 2ms;
  auto here = channel::open(where, url, with).value();
  std::vector<error> failures;
  here.on_connect_failure([&](const error& why) { failures.push_back(why); });
  ASSERT_TRUE(run_until(
      io, [&] { return failures.size() == 3; }, "three attempts"));
  EXPECT_EQ(failures[2], errc::not_found);
  EXPECT_EQ(here.stats().failed_attempts, 3u);
}

TEST_F(draining, a_close_with_a_limit_of_its_own_ends_when_that_is_over) {
  auto [peer, here] = connect();
  std::optional<close_report> report;
  here.async_close(20ms, [&](error_code, const close_report& r) { report = r; });
  ASSERT_TRUE(run_until(
      io, [&] { return report.has_value(); }, "the deadline"));
  EXPECT_EQ(report->reason, errc::timeout);
}

}  // namespace
}  // namespace ferry
