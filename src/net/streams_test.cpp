// What the streams of every transport have to do, asked directly, without a channel above them.
#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "net/socket_stream.hpp"
#include "testing/faulty_stream.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::net {
namespace {

struct heard final : stream_events {
  void on_read(result<std::size_t> outcome) override { reads.push_back(outcome); }
  void on_writable() override { ++writable; }
  std::vector<result<std::size_t>> reads;
  int writable = 0;
};

class any_stream : public ::testing::TestWithParam<const char*> {
 protected:
  any_stream() {
    where.register_transport("faulty", std::make_shared<test::faulty_transport>(std::make_shared<test::fault_plan>()));
  }
  void connect() {
    std::string url = GetParam();
    if (url == "ipc") url = "ipc://" + dir.file("s");
    options with;
    const auto schemes = where.schemes();
    const auto at = parse_url(url, with, schemes);
    ASSERT_TRUE(at) << at.error().text();
    transport = where.transport(at->scheme);
    auto made = transport->listen(where, *at, with);
    ASSERT_TRUE(made) << made.error().text();
    arrivals = std::move(*made);
    const auto to = parse_url(arrivals->local_url(), with, schemes);
    EXPECT_EQ(arrivals->try_accept().error(), errc::would_block);
    bool ready = false;
    arrivals->async_wait([&] { ready = true; });
    const auto attempt = transport->connect(where, *to, with, [&](auto outcome) { client = std::move(*outcome); });
    EXPECT_EQ(client, nullptr) << "connected from inside connect()";
    ASSERT_TRUE(test::run_until(
        io, [&] { return client && ready; }, "a connection"));
    server = *arrivals->try_accept();
    client->attach(at_client, owner);
    server->attach(at_server, owner);
  }
  static std::size_t put(stream& to, std::string_view text) {
    const std::array<bytes, 1> parts{as_bytes(text)};
    return *to.try_write(parts);
  }

  test::temp_dir dir;
  boost::asio::io_context io;
  context where{io};
  std::shared_ptr<stream_transport> transport;
  std::unique_ptr<acceptor> arrivals;
  heard at_client, at_server;
  std::shared_ptr<int> owner = std::make_shared<int>(1);
  std::shared_ptr<stream> client, server;
  std::array<std::byte, 100> into{};
};

TEST_P(any_stream, reads_at_once_would_block_bytes_and_the_end) {
  connect();
  EXPECT_EQ(server->try_read(into).error(), errc::would_block);
  EXPECT_EQ(put(*client, "abc"), 3u);
  result<std::size_t> got = errc::would_block;
  ASSERT_TRUE(test::run_until(
      io, [&] { return (got = server->try_read(into)).has_value(); }, "the bytes"));
  EXPECT_EQ(as_text(bytes(into).first(*got)), "abc");
  EXPECT_TRUE(client->shutdown_write());
  ASSERT_TRUE(test::run_until(
      io, [&] { return (got = server->try_read(into)).error() != errc::would_block; }, "the end"));
  EXPECT_EQ(got.error(), errc::end_of_stream);
  EXPECT_EQ(put(*server, "still"), 5u) << "the other direction is open";
}

TEST_P(any_stream, tells_a_read_once_and_never_from_inside) {
  connect();
  EXPECT_EQ(put(*client, "abc"), 3u);
  server->async_read(into);
  EXPECT_TRUE(at_server.reads.empty());
  ASSERT_TRUE(test::run_until(
      io, [&] { return !at_server.reads.empty(); }, "the read"));
  EXPECT_EQ(*at_server.reads[0], 3u);
  EXPECT_EQ(put(*client, "more"), 4u);
  test::run_ready(io);
  EXPECT_EQ(at_server.reads.size(), 1u);
  server->async_read(into);
  ASSERT_TRUE(test::run_until(
      io, [&] { return at_server.reads.size() == 2; }, "the second read"));
  client->close();
  server->async_read(into);
  ASSERT_TRUE(test::run_until(
      io, [&] { return at_server.reads.size() == 3; }, "the end"));
  EXPECT_FALSE(at_server.reads[2]);
}

TEST_P(any_stream, fills_up_and_tells_when_it_takes_bytes_again) {
  connect();
  const std::string much(64u << 10, 'x');
  const std::array<bytes, 1> parts{as_bytes(much)};
  std::size_t written = 0;
  result<std::size_t> last = std::size_t{0};
  while ((last = client->try_write(parts))) written += *last;
  EXPECT_EQ(last.error(), errc::would_block);
  client->async_wait_writable();
  std::size_t read = 0;
  ASSERT_TRUE(test::run_until(
      io,
      [&] {
        std::array<std::byte, 4096> large;
        while (const auto got = server->try_read(large)) read += *got;
        return at_client.writable == 1 && read == written;
      },
      "room"));
  test::run_ready(io);
  EXPECT_EQ(at_client.writable, 1);
}

TEST_P(any_stream, wakes_for_bytes_and_for_room_after_any_number_of_reads_without_waiting) {
  connect();
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(put(*client, "a"), 1u);
    ASSERT_TRUE(test::run_until(
        io, [&] { return server->try_read(into).has_value(); }, "a byte"));
  }
  server->async_read(into);
  test::run_ready(io);
  EXPECT_TRUE(at_server.reads.empty());
  EXPECT_EQ(put(*client, "abc"), 3u);
  ASSERT_TRUE(test::run_until(
      io, [&] { return at_server.reads.size() == 1; }, "the read"));
  EXPECT_EQ(*at_server.reads[0], 3u);
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(put(*client, "a"), 1u);
    ASSERT_TRUE(test::run_until(
        io, [&] { return server->try_read(into).has_value(); }, "a byte"));
  }
  server->async_wait_writable();
  EXPECT_EQ(at_server.writable, 0);
  ASSERT_TRUE(test::run_until(
      io, [&] { return at_server.writable == 1; }, "room"));
}

TEST_P(any_stream, tells_nothing_after_close_and_lets_go_of_its_owner) {
  connect();
  server->async_read(into);
  EXPECT_EQ(put(*client, "abc"), 3u);
  const auto before = owner.use_count();
  server->close();
  server->close();
  test::run_ready(io);
  EXPECT_TRUE(at_server.reads.empty());
  EXPECT_LT(owner.use_count(), before);
}

TEST_P(any_stream, breaks_for_the_peer_when_it_is_closed_with_input_unread) {
  connect();
  EXPECT_EQ(put(*client, "unread"), 6u);
  test::run_ready(io);
  server->close();
  client->async_read(into);
  ASSERT_TRUE(test::run_until(
      io, [&] { return !at_client.reads.empty(); }, "the break"));
  EXPECT_EQ(at_client.reads[0].error(), errc::reset);
}

TEST_P(any_stream, is_not_made_by_an_attempt_that_was_given_up) {
  connect();
  options with;
  const auto to = parse_url(arrivals->local_url(), with, where.schemes());
  bool called = false;
  {
    const auto attempt = transport->connect(where, *to, with, [&](auto) { called = true; });
  }
  test::run_ready(io);
  EXPECT_FALSE(called);
}

TEST_P(any_stream, cannot_be_reached_after_the_acceptor_closed) {
  connect();
  options with;
  const auto to = parse_url(arrivals->local_url(), with, where.schemes());
  arrivals->close();
  arrivals->close();
  std::optional<error> why;
  const auto attempt = transport->connect(where, *to, with, [&](auto outcome) { why = outcome.error(); });
  ASSERT_TRUE(test::run_until(
      io, [&] { return why.has_value(); }, "the refusal"));
  EXPECT_TRUE(*why == errc::refused || *why == errc::not_found) << why->text();
}

// What the event loop refuses to watch, here a number that is no descriptor, is an error to whoever waits.
TEST(socket_stream, reports_from_the_event_loop_that_it_can_no_longer_be_watched) {
  boost::asio::io_context io;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
  const os::unique_fd peer(ends[1]);
  const auto watched = *socket_stream::make(io, os::unique_fd(ends[0]), {});
  heard at_end;
  watched->attach(at_end, nullptr);
  std::array<std::byte, 10> into{};
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(::write(peer.get(), "a", 1), 1);
    ASSERT_TRUE(watched->try_read(into));
  }
  ::close(ends[0]);
  watched->async_read(into);
  watched->async_wait_writable();
  EXPECT_TRUE(at_end.reads.empty());
  EXPECT_EQ(at_end.writable, 0);
  test::run_ready(io);
  ASSERT_EQ(at_end.reads.size(), 1u);
  EXPECT_EQ(at_end.reads[0].error().text(), "watch a socket: Bad file descriptor");
  ASSERT_EQ(at_end.writable, 1);
  const std::array<bytes, 1> parts{as_bytes("abc")};
  EXPECT_EQ(watched->try_write(parts).error().text(), "watch a socket: Bad file descriptor");
  ASSERT_EQ(::dup2(peer.get(), ends[0]), ends[0]) << "for close(), which must close nothing of somebody else's";
  watched->close();
}

INSTANTIATE_TEST_SUITE_P(every, any_stream,
                         ::testing::Values("inproc://name", "ipc", "tcp://127.0.0.1:0", "faulty://name"),
                         [](const auto& one) {
                           return std::string(one.param).substr(0, std::string(one.param).find(':'));
                         });

}  // namespace
}  // namespace ferry::net
