// Back-pressure: what happens when one end is slower than the other.
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

constexpr std::size_t k_message = 1000;

std::string numbered(std::size_t i) { return std::to_string(i) + ":" + pattern(i, k_message); }

options small_queues(options with) {
  with.send_queue_bytes = 64u << 10;
  with.receive_queue_bytes = 64u << 10;
  with.batch_bytes = 16u << 10;
  with.socket_send_buffer = with.socket_receive_buffer = 32u << 10;
  return with;
}

/// Sends until the receiver's queue and then the sender's are full. @return how many were taken
std::size_t fill(any_transport& in, channel& from, const channel& to) {
  std::size_t sent = 0;
  bool full = false;
  EXPECT_TRUE(in.turn(
      [&] {
        full = false;
        while (!full && sent < 100'000) {
          const auto outcome = from.try_send(numbered(sent));
          full = !outcome;
          if (outcome) ++sent;
        }
        return full && to.stats().receive_queue_bytes >= to.settings().receive_queue_bytes;
      },
      "both queues full"));
  // What still moves on: until a whole turn of the loop changes nothing. A sidecar looks at its rings by a timer too.
  for (int quiet = 0; quiet < 3; ++quiet) {
    if (in.is_sidecar()) in.io.run_for(std::chrono::milliseconds(5));
    run_ready(in.io);
    while (from.try_send(numbered(sent))) {
      ++sent;
      quiet = 0;
    }
  }
  return sent;
}

void expect_numbered(const std::vector<std::string>& got, std::size_t count) {
  ASSERT_EQ(got.size(), count);
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(got[i], numbered(i));
}

TEST_P(transport, tells_full_in_bounded_memory_when_nobody_asks_and_loses_nothing_when_somebody_does) {
  const options with = small_queues(settings());
  join(with, with);
  const std::size_t sent = fill(*this, client, server);
  const auto refused = client.try_send(numbered(sent));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::full);
  EXPECT_LE(client.stats().send_queue_bytes, with.send_queue_bytes + 10);
  EXPECT_LE(server.stats().receive_queue_bytes, with.receive_queue_bytes + k_message + 10);
  // Two queues, a batch on each side, what lies in the pipe or the kernel, and the classes of the pool above them.
  EXPECT_LT(where.buffers().stats().bytes_lent, 4u << 20);
  EXPECT_LT(sent * k_message, std::size_t{16} << 20);

  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == sent; }, "everything that was taken"));
  run_ready(io);
  expect_numbered(at_server.messages, sent);
}

TEST_P(transport, tells_that_there_is_room_again_once_after_it_was_full) {
  const options with = small_queues(settings());
  join(with, with);
  int drained = 0;
  client.on_drain([&] {
    ++drained;
    EXPECT_LE(client.stats().send_queue_bytes, with.send_queue_bytes / 4);
    EXPECT_TRUE(client.try_send("room"));
  });
  const std::size_t sent = fill(*this, client, server);
  const int before = drained;
  ASSERT_FALSE(client.try_send(numbered(sent)));
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(turn([&] { return client.stats().send_queue_bytes == 0 && drained > before; }, "the drain event"));
  run_ready(io);
  EXPECT_EQ(drained, before + 1);
}

TEST_P(transport, does_not_tell_of_room_when_it_was_never_full) {
  join();
  int drained = 0;
  client.on_drain([&] { ++drained; });
  life at_server;
  at_server.receive(server);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.try_send("x"));
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 100; }, "the messages"));
  EXPECT_EQ(drained, 0);
}

TEST_P(transport, respects_the_limit_of_the_send_queue_in_messages) {
  options with = settings();
  with.send_queue_messages = 10;
  options reconnecting = with;
  reconnecting.reconnect = true;
  listening = listen(with);
  // Nothing turns the loop between these: none of them can leave.
  client = open(connect_url(listening), reconnecting);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(client.try_send("x"));
  const auto refused = client.try_send("x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::full);
  bool drained = false;
  client.on_drain([&] { drained = true; });
  listening.async_accept([&](error_code, channel arrived) { server = std::move(arrived); });
  ASSERT_TRUE(turn([&] { return drained; }, "room"));
  EXPECT_TRUE(client.try_send("x"));
}

TEST_P(transport, stops_reading_at_the_limit_of_the_receive_queue_in_messages) {
  options with = settings();
  with.receive_queue_messages = 10;
  join(settings(), with);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client.try_send(std::to_string(i)));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 10; }, "a full receive queue"));
  run_ready(io);
  EXPECT_EQ(server.stats().receive_queue_messages, 10u);
  for (int i = 0; i < 200; ++i) {
    result<message> got = errc::would_block;
    ASSERT_TRUE(turn([&] { return (got = server.try_receive()).has_value(); }, "message " + std::to_string(i)));
    ASSERT_EQ(got->text(), std::to_string(i));
    ASSERT_LE(server.stats().receive_queue_messages, 10u);
  }
}

TEST_P(transport, reads_on_once_the_receive_queue_is_below_its_low_mark) {
  if (takes_little()) GTEST_SKIP() << "the ring is too small for this";
  options with = small_queues(settings());
  join(with, with);
  fill(*this, client, server);
  // Down to a fifth, which is below the default low mark of a quarter, and not empty.
  while (server.stats().receive_queue_bytes > with.receive_queue_bytes / 5) ASSERT_TRUE(server.try_receive());
  EXPECT_TRUE(turn([&] { return server.stats().receive_queue_bytes >= with.receive_queue_bytes / 2; }, "more to read"));
}

TEST_P(transport, delivers_nothing_between_pause_and_resume) {
  if (takes_little()) GTEST_SKIP() << "the ring is too small for this";
  join();
  life at_server;
  at_server.receive(server);
  server.pause();
  for (std::size_t i = 0; i < 100; ++i) ASSERT_TRUE(client.try_send(numbered(i)));
  bool flushed = false;
  client.async_flush([&](error_code) { flushed = true; });
  const bool faulty = with_.carrier().find("faulty") != std::string_view::npos;
  ASSERT_TRUE(turn([&] { return flushed || faulty; }, "the kernel to take them"));
  run_ready(io);
  EXPECT_EQ(at_server.messages.size(), 0u);
  server.resume();
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == 100; }, "all of them"));
  expect_numbered(at_server.messages, 100);
}

TEST_P(transport, stops_at_once_when_the_handler_pauses_and_goes_on_where_it_was) {
  if (takes_little()) GTEST_SKIP() << "the ring is too small for this";
  join();
  life at_server;
  server.on_message([&](const message_view& m) {
    at_server.messages.emplace_back(m.text());
    server.pause();
  });
  for (std::size_t i = 0; i < 20; ++i) ASSERT_TRUE(client.try_send(numbered(i)));
  for (std::size_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(turn([&] { return at_server.messages.size() >= i; }, "one more"));
    run_ready(io);
    ASSERT_EQ(at_server.messages.size(), i);
    server.resume();
  }
  expect_numbered(at_server.messages, 20);
}

TEST_P(transport, lets_async_send_wait_for_room_and_keeps_the_order) {
  const options with = small_queues(settings());
  join(with, with);
  const std::size_t sent = fill(*this, client, server);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 5; ++i) texts.push_back(numbered(sent + i));
  std::vector<int> completed;
  for (int i = 0; i < 5; ++i)
    client.async_send(as_bytes(texts[static_cast<std::size_t>(i)]), [&, i](error_code failed) {
      EXPECT_FALSE(failed) << failed.message();
      completed.push_back(i);
    });
  run_ready(io);
  EXPECT_TRUE(completed.empty());
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(turn([&] { return at_server.messages.size() == sent + 5; }, "everything"));
  EXPECT_EQ(completed, (std::vector<int>{0, 1, 2, 3, 4}));
  expect_numbered(at_server.messages, sent + 5);
}

TEST_P(transport, completes_a_flush_when_the_kernel_has_everything_and_not_before) {
  const options with = small_queues(settings());
  join(with, with);
  bool flushed = false;
  client.async_flush([&](error_code failed) { flushed = !failed; });
  ASSERT_TRUE(turn([&] { return flushed; }, "a flush of nothing"));
  fill(*this, client, server);
  flushed = false;
  client.async_flush([&](error_code failed) {
    EXPECT_FALSE(failed);
    flushed = true;
    EXPECT_EQ(client.stats().send_queue_bytes, 0u);
  });
  run_ready(io);
  EXPECT_EQ(flushed, is_ring());
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(turn([&] { return flushed; }, "the flush"));
}

TEST_P(transport, cuts_a_peer_that_takes_nothing_for_the_write_timeout_and_says_what_was_left) {
  options with = small_queues(settings());
  with.write_timeout = std::chrono::milliseconds(20);
  join(with, small_queues(settings()));
  life at_client;
  at_client.watch(client);
  server.pause();
  std::size_t sent = 0;
  while (client.try_send(numbered(sent))) ++sent;
  ASSERT_TRUE(turn(
      [&] {
        while (client.state() == channel_state::up && client.try_send(numbered(sent))) ++sent;
        return client.state() == channel_state::closed;
      },
      "the write deadline"));
  ASSERT_EQ(at_client.downs.size(), 1u);
  const down_info& info = at_client.downs[0];
  EXPECT_EQ(info.reason, errc::timeout);
  EXPECT_NE(info.reason.text().find("20ms (write_timeout)"), std::string::npos) << info.reason.text();
  EXPECT_LE(info.messages_maybe_lost, sent);
  bool told = false;
  client.async_close([&](error_code failed, const close_report& report) {
    told = true;
    EXPECT_EQ(failed, errc::timeout);
    EXPECT_TRUE(is_ring() || report.messages_unsent > 0);
    EXPECT_EQ(report.messages_unsent + report.messages_maybe_lost, sent);
    EXPECT_FALSE(report.clean());
  });
  ASSERT_TRUE(turn([&] { return told; }, "the report"));
}

}  // namespace
}  // namespace ferry::test
