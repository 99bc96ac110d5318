// The ways to end, and what is told about it.
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

struct outcome {
  bool told = false;
  error_code code;
  close_report report;
  auto handler() {
    return [this](error_code failed, const close_report& left) {
      told = true;
      code = failed;
      report = left;
    };
  }
};

TEST_P(transport, drains_and_reports_a_clean_close_when_the_peer_has_read_everything) {
  if (takes_little()) GTEST_SKIP() << "the ring is too small for this";
  join();
  life at_client, at_server;
  at_client.watch(client);
  at_server.watch(server);
  at_server.receive(server);
  run_ready(io);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(client.try_send(pattern(1, 1000)));
  outcome closed;
  client.async_close(closed.handler());
  const auto late = client.try_send("late");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), errc::closed);
  ASSERT_TRUE(turn([&] { return closed.told; }, "the close"));
  EXPECT_FALSE(closed.code) << closed.code.message();
  EXPECT_TRUE(closed.report.clean()) << closed.report.reason.text();
  EXPECT_EQ(at_server.messages.size(), 500u);
  EXPECT_EQ(client.state(), channel_state::closed);
  ASSERT_TRUE(turn([&] { return server.state() == channel_state::closed; }, "the other end"));
  ASSERT_EQ(at_client.downs.size(), 1u);
  EXPECT_EQ(at_client.downs[0].reason, errc::closed);
  EXPECT_EQ(at_client.downs[0].messages_maybe_lost, 0u);
  ASSERT_EQ(at_server.downs.size(), 1u);
  EXPECT_EQ(at_server.downs[0].reason, errc::end_of_stream);
  EXPECT_TRUE(at_client.paired && at_server.paired);
  EXPECT_EQ(at_client.ups, 1);
  EXPECT_EQ(at_server.ups, 1);
}

TEST_P(transport, gives_the_same_report_to_who_asks_again_after_the_close_and_misuse_meanwhile) {
  join();
  outcome first, second, third;
  client.async_close(first.handler());
  client.async_close(second.handler());
  ASSERT_TRUE(turn([&] { return first.told && second.told; }, "both"));
  EXPECT_FALSE(first.code);
  EXPECT_EQ(second.code, errc::misuse);
  client.async_close(third.handler());
  ASSERT_TRUE(turn([&] { return third.told; }, "the third"));
  EXPECT_FALSE(third.code);
  EXPECT_TRUE(third.report.clean());
}

TEST_P(transport, delivers_to_who_closes_what_the_peer_still_sends) {
  join();
  life at_client;
  at_client.receive(client);
  server.on_message(
      [this](const message_view& m) { EXPECT_TRUE(server.try_send("answer to " + std::string(m.text()))); });
  ASSERT_TRUE(client.try_send("a"));
  ASSERT_TRUE(client.try_send("b"));
  outcome closed;
  client.async_close(closed.handler());
  ASSERT_TRUE(turn([&] { return closed.told; }, "the close"));
  EXPECT_TRUE(closed.report.clean()) << closed.report.reason.text();
  EXPECT_EQ(at_client.messages, (std::vector<std::string>{"answer to a", "answer to b"}));
}

TEST_P(transport, half_closes_and_still_hears_the_answer) {
  join();
  life at_client;
  at_client.receive(client);
  at_client.watch(client);
  server.on_message(
      [this](const message_view& m) { EXPECT_TRUE(server.try_send(pattern(m.payload.size(), 100'000))); });
  ASSERT_TRUE(client.try_send("question"));
  client.half_close();
  EXPECT_EQ(client.try_send("more").error(), errc::closed);
  EXPECT_EQ(client.state(), channel_state::closing);
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the peer's end"));
  EXPECT_EQ(at_client.messages, std::vector<std::string>{pattern(8, 100'000)});
  ASSERT_EQ(at_client.downs.size(), 1u);
  EXPECT_EQ(at_client.downs[0].reason, errc::closed);
  EXPECT_EQ(at_client.downs[0].messages_maybe_lost, 0u);
}

TEST_P(transport, closes_both_ends_at_once_in_order) {
  join();
  life at_client, at_server;
  at_client.receive(client);
  at_server.receive(server);
  ASSERT_TRUE(client.try_send("from client"));
  ASSERT_TRUE(server.try_send("from server"));
  outcome one, other;
  client.async_close(one.handler());
  server.async_close(other.handler());
  ASSERT_TRUE(turn([&] { return one.told && other.told; }, "both closes"));
  EXPECT_EQ(at_client.messages, std::vector<std::string>{"from server"});
  EXPECT_EQ(at_server.messages, std::vector<std::string>{"from client"});
}

TEST_P(transport, gives_up_closing_at_the_deadline_and_says_what_is_left) {
  options with = settings();
  with.close_timeout = std::chrono::milliseconds(20);
  join(with, settings());
  server.pause();
  std::size_t sent = 0;
  while (client.try_send(pattern(sent, 10'000))) ++sent;
  outcome closed;
  client.async_close(closed.handler());
  ASSERT_TRUE(turn([&] { return closed.told; }, "the deadline"));
  EXPECT_EQ(closed.code, errc::timeout);
  EXPECT_FALSE(closed.report.clean());
  EXPECT_NE(closed.report.reason.text().find("20ms (close_timeout)"), std::string::npos) << closed.report.reason.text();
  if (!is_ring()) {
    EXPECT_GT(closed.report.messages_unsent, 0u);
    EXPECT_GT(closed.report.bytes_unsent, 0u);
  }
  EXPECT_EQ(closed.report.messages_unsent + closed.report.messages_maybe_lost, sent);
}

TEST_P(transport, gives_up_closing_at_once_when_the_close_timeout_is_zero) {
  options with = settings();
  with.close_timeout = std::chrono::seconds(0);
  join(with, settings());
  server.pause();
  outcome closed;
  ASSERT_TRUE(client.try_send("x"));
  client.async_close(closed.handler());
  ASSERT_TRUE(turn([&] { return closed.told; }, "the end"));
  EXPECT_EQ(client.state(), channel_state::closed);
}

TEST_P(transport, cuts_at_once_and_tells_both_ends_with_a_bound_of_the_loss) {
  if (takes_little()) GTEST_SKIP() << "the ring is too small for this";
  join();
  life at_client, at_server;
  at_client.watch(client);
  at_server.watch(server);
  at_server.receive(server);
  run_ready(io);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.try_send(pattern(1, 1000)));
  ASSERT_TRUE(turn([&] { return !at_server.messages.empty(); }, "a message"));
  server.cut();
  EXPECT_EQ(server.state(), channel_state::closed);
  EXPECT_EQ(server.try_send("x").error(), errc::closed);
  const std::size_t arrived = at_server.messages.size();
  ASSERT_TRUE(
      turn([&] { return client.state() == channel_state::closed && at_server.downs.size() == 1; }, "both ends"));
  EXPECT_EQ(at_server.messages.size(), arrived) << "delivered after cut()";
  ASSERT_EQ(at_client.downs.size(), 1u);
  EXPECT_NE(at_client.downs[0].reason, errc::closed);
  if (is_tls() && !is_ws() && !with_.is_session())
    EXPECT_EQ(at_client.downs[0].reason, errc::truncated) << "an end without close_notify is no end in order";
  else
    EXPECT_EQ(at_client.downs[0].reason.code(), condition::reconnect) << at_client.downs[0].reason.text();
  EXPECT_EQ(at_server.downs[0].reason, errc::closed);
  outcome left;
  client.async_close(left.handler());
  ASSERT_TRUE(turn([&] { return left.told; }, "the report"));
  EXPECT_LE(100 - arrived, left.report.messages_maybe_lost + left.report.messages_unsent);
  EXPECT_GE(at_client.downs[0].bytes_maybe_lost, at_client.downs[0].messages_maybe_lost * 1000);
}

// What the server has read from the transport and not delivered is nobody's but its own to tell of.
TEST_P(transport, tells_a_peer_that_has_ended_of_what_was_read_but_not_delivered_when_it_is_cut) {
  if (takes_little()) GTEST_SKIP() << "the ring is too small for this";
  if (with_.is_session()) GTEST_SKIP() << "what is not acknowledged stays in the session";
  for (const std::size_t cut_at : {1u, 2u, 50u, 99u}) {
    join();
    life at_client;
    at_client.watch(client);
    server.pause();
    std::size_t arrived = 0;
    server.on_message([&](const message_view&) {
      if (++arrived == cut_at) server.cut();
    });
    for (std::size_t i = 0; i < 100; ++i) ASSERT_TRUE(client.try_send(pattern(i, 20)));
    outcome closed;
    client.async_close(closed.handler());
    run_ready(io);
    server.resume();
    ASSERT_TRUE(turn([&] { return closed.told; }, "the end"));
    EXPECT_EQ(arrived, cut_at) << "delivered after cut()";
    ASSERT_EQ(at_client.downs.size(), 1u);
    EXPECT_FALSE(closed.report.clean()) << "cut at " << cut_at;
    EXPECT_NE(at_client.downs[0].reason, errc::closed) << "cut at " << cut_at;
    EXPECT_LE(100 - arrived, closed.report.messages_maybe_lost + closed.report.messages_unsent) << "cut at " << cut_at;
    if (!is_tls()) {
      EXPECT_EQ(at_client.downs[0].reason.code(), condition::reconnect) << at_client.downs[0].reason.text();
    }
  }
}

// The handler that cuts is the last that had to do with it: then nothing is lost, where the transport can tell.
TEST_P(transport, is_no_loss_for_a_peer_that_has_ended_when_the_last_message_cuts) {
  if (is_tls() || is_ws()) GTEST_SKIP() << "an end that is cut has an end of its own there";
  if (with_.is_session() || takes_little()) GTEST_SKIP();
  if (with_.is_tcpshm() && is_tcp()) GTEST_SKIP() << "the last acknowledgement ends with the connection";
  join();
  life at_client;
  at_client.watch(client);
  server.pause();
  std::size_t arrived = 0;
  server.on_message([&](const message_view&) {
    if (++arrived == 100) server.cut();
  });
  for (std::size_t i = 0; i < 100; ++i) ASSERT_TRUE(client.try_send(pattern(i, 20)));
  outcome closed;
  client.async_close(closed.handler());
  run_ready(io);
  server.resume();
  ASSERT_TRUE(turn([&] { return closed.told; }, "the end"));
  EXPECT_TRUE(closed.report.clean()) << closed.report.reason.text();
  EXPECT_EQ(closed.report.messages_maybe_lost, 0u);
}

TEST_P(transport, ends_every_waiting_operation_with_the_reason_when_it_is_cut) {
  options with = settings();
  with.send_queue_bytes = 1000;
  join(with, settings());
  server.pause();
  std::vector<error_code> codes;
  const auto note = [&](error_code failed) { codes.push_back(failed); };
  client.async_receive([&](error_code failed, const message&) { note(failed); });
  const std::string large = pattern(1, 8u << 20);
  ASSERT_TRUE(client.try_send(as_bytes(large)));
  ASSERT_FALSE(client.try_send(as_bytes(large)));
  client.async_send(as_bytes(large), note);
  client.async_flush(note);
  client.async_close([&](error_code failed, const close_report& report) {
    note(failed);
    EXPECT_GE(report.messages_unsent + report.messages_maybe_lost, 1u);
  });
  client.cut();
  ASSERT_TRUE(turn([&] { return codes.size() == 4; }, "all four"));
  for (const auto& code : codes) EXPECT_EQ(code, errc::closed) << code.message();
}

TEST_P(transport, cuts_its_end_when_the_last_handle_goes) {
  join();
  life at_server;
  at_server.watch(server);
  run_ready(io);
  {
    const channel copy = client;
    client = channel{};
    run_ready(io);
    EXPECT_EQ(at_server.downs.size(), 0u);
  }
  ASSERT_TRUE(turn([&] { return at_server.downs.size() == 1; }, "the end"));
  EXPECT_TRUE(turn([&] { return where.totals().channels_open.value() == 0; }, "the end of both"));
}

TEST_P(transport, counts_open_channels_and_connections_in_the_totals) {
  join();
  EXPECT_EQ(where.totals().channels_open.value(), 2);
  EXPECT_EQ(where.totals().connections_accepted.value(), 1u);
  EXPECT_EQ(where.totals().connections_made.value(), 1u);
  EXPECT_EQ(listening.stats().accepted, 1u);
  EXPECT_EQ(listening.stats().open, 1u);
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(client.try_send("abc"));
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "the message"));
  EXPECT_EQ(where.totals().messages_received.value(), 1u);
  EXPECT_EQ(where.totals().bytes_sent.value(), where.totals().bytes_received.value());
  client.cut();
  server.cut();
  run_ready(io);
  EXPECT_EQ(where.totals().channels_open.value(), 0);
  EXPECT_EQ(listening.stats().open, 0u);
}

}  // namespace
}  // namespace ferry::test
