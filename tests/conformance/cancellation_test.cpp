// Every operation that waits can be cancelled, and what was not cancelled goes on.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

namespace asio = boost::asio;

struct cancelled_operation {
  asio::cancellation_signal signal;
  bool told = false;
  error_code code;

  auto handler() {
    return asio::bind_cancellation_slot(signal.slot(), [this](error_code failed, auto&&...) {
      told = true;
      code = failed;
    });
  }
  void cancel() { signal.emit(asio::cancellation_type::terminal); }
};

TEST_P(transport, cancels_one_waiting_receive_and_serves_the_others) {
  join();
  cancelled_operation one;
  std::vector<std::string> got;
  const auto take = [&](error_code failed, const message& m) {
    got.push_back(failed ? failed.message() : std::string(m.text()));
  };
  server.async_receive(take);
  server.async_receive(one.handler());
  server.async_receive(take);
  one.cancel();
  ASSERT_TRUE(turn([&] { return one.told; }, "the cancellation"));
  EXPECT_EQ(one.code, errc::cancelled);
  ASSERT_TRUE(client.try_send("a"));
  ASSERT_TRUE(client.try_send("b"));
  ASSERT_TRUE(turn([&] { return got.size() == 2; }, "two messages"));
  EXPECT_EQ(got, (std::vector<std::string>{"a", "b"}));
}

TEST_P(transport, cancels_a_waiting_send_and_a_waiting_flush_without_sending_more) {
  if (is_ws()) GTEST_SKIP() << "a message in one frame is read whole, up to max_message, before any of it is handed on";
  options with = settings();
  with.send_queue_bytes = 1000;
  join(with, settings());
  server.pause();
  const std::string large = pattern(1, 6u << 20);
  ASSERT_TRUE(client.try_send(as_bytes(large)));
  cancelled_operation send, flush;
  client.async_send(as_bytes(large), send.handler());
  client.async_flush(flush.handler());
  run_ready(io);
  EXPECT_FALSE(send.told || flush.told);
  send.cancel();
  flush.cancel();
  ASSERT_TRUE(turn([&] { return send.told && flush.told; }, "the cancellations"));
  EXPECT_EQ(send.code, errc::cancelled);
  EXPECT_EQ(flush.code, errc::cancelled);
  std::size_t received = 0;
  server.on_message([&](const message_view&) { ++received; });
  server.resume();
  ASSERT_TRUE(turn([&] { return client.stats().send_queue_bytes == 0 && received == 1; }, "the first message alone"));
  run_ready(io);
  EXPECT_EQ(received, 1u);
}

TEST_P(transport, cancels_a_waiting_accept) {
  listening = listen(settings());
  cancelled_operation accept;
  listening.async_accept(accept.handler());
  run_ready(io);
  accept.cancel();
  ASSERT_TRUE(turn([&] { return accept.told; }, "the cancellation"));
  EXPECT_EQ(accept.code, errc::cancelled);
  join();
  EXPECT_TRUE(server);
}

TEST_P(transport, cancels_waiting_for_a_connection_and_goes_on_connecting) {
  options with = settings();
  with.reconnect = true;
  listening = listen(settings());
  const std::string url = listening.url();
  const std::string to = connect_url(listening);
  listening = listener{};
  client = open(to, with);
  cancelled_operation wait;
  client.async_wait_up(wait.handler());
  run_ready(io);
  wait.cancel();
  ASSERT_TRUE(turn([&] { return wait.told; }, "the cancellation"));
  EXPECT_EQ(wait.code, errc::cancelled);
  listening = *listener::open(where, url, settings());
  listening.on_channel([](const channel&) {});
  EXPECT_TRUE(turn([&] { return client.stats().connections > 0; }, "a connection"));
}

TEST_P(transport, cancels_async_connect_and_gives_the_attempt_up) {
  options with = settings();
  with.reconnect = true;
  std::string url;
  {
    const listener gone = listen(settings());
    url = connect_url(gone);
  }
  cancelled_operation connecting;
  async_connect(where, url, with, connecting.handler());
  run_ready(io);
  connecting.cancel();
  ASSERT_TRUE(turn([&] { return connecting.told; }, "the cancellation"));
  EXPECT_EQ(connecting.code, errc::cancelled);
  ASSERT_TRUE(turn([&] { return where.totals().channels_open.value() == 0; }, "the channel to go"));
}

TEST_P(transport, cancels_waiting_for_a_close_that_then_goes_on) {
  options with = settings();
  with.close_timeout = std::chrono::minutes(5);  // a busy machine takes seconds to write as much as goes in
  join(with, settings());
  server.pause();
  // A session, and a queue of tcpshm's, wait for the peer whatever the size.
  ASSERT_TRUE(client.try_send(as_bytes(pattern(1, with_.is_session() ? 1u << 20 : at_most(6u << 20)))));
  cancelled_operation close;
  client.async_close(close.handler());
  run_ready(io);
  EXPECT_FALSE(close.told);
  close.cancel();
  ASSERT_TRUE(turn([&] { return close.told; }, "the cancellation"));
  EXPECT_EQ(close.code, errc::cancelled);
  EXPECT_EQ(client.state(), channel_state::closing);
  life at_server;
  at_server.receive(server);
  server.resume();
  EXPECT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the end"));
}

TEST_P(transport, ends_the_loser_of_two_awaited_operations) {
  using namespace asio::experimental::awaitable_operators;
  join();
  std::size_t winner = 9;
  std::string then;
  const auto race = [&]() -> asio::awaitable<void> {
    asio::steady_timer soon(io, std::chrono::milliseconds(1));
    const auto first = co_await (server.async_receive(asio::use_awaitable) || soon.async_wait(asio::use_awaitable));
    winner = first.index();
    const message m = co_await server.async_receive(asio::use_awaitable);
    then = m.text();
  };
  bool over = false;
  asio::co_spawn(io, race(), [&](const std::exception_ptr& failed) {
    EXPECT_EQ(failed, nullptr);
    over = true;
  });
  ASSERT_TRUE(turn([&] { return winner != 9; }, "the timer to win"));
  EXPECT_EQ(winner, 1u);
  ASSERT_TRUE(client.try_send("for the second receive"));
  ASSERT_TRUE(turn([&] { return over; }, "the coroutine"));
  EXPECT_EQ(then, "for the second receive");
}

TEST_P(transport, gives_errors_to_coroutines_as_exceptions_or_as_codes) {
  join();
  std::vector<error_code> codes;
  const auto receive = [&]() -> asio::awaitable<void> {
    try {
      (void)co_await client.async_receive(asio::use_awaitable);
    } catch (const boost::system::system_error& thrown) {
      codes.push_back(thrown.code());
    }
    error_code failed;
    (void)co_await client.async_receive(asio::redirect_error(asio::use_awaitable, failed));
    codes.push_back(failed);
  };
  bool over = false;
  asio::co_spawn(io, receive(), [&](const std::exception_ptr& failed) {
    EXPECT_EQ(failed, nullptr);
    over = true;
  });
  run_ready(io);
  client.cut();
  ASSERT_TRUE(turn([&] { return over; }, "the coroutine"));
  ASSERT_EQ(codes.size(), 2u);
  EXPECT_EQ(codes[0], errc::closed);
  EXPECT_EQ(codes[1], errc::closed);
}

}  // namespace
}  // namespace ferry::test
