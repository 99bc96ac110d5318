// What a WebSocket channel does where there are no buffers, and what a peer may make it keep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/listening_world.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

/// A listener whose context has few buffers, of which all can be lent.
class ws_memory : public ::testing::Test {
 protected:
  explicit ws_memory(const buffer_pool_options& with = {.max_bytes = 64u << 10}) : where(io, {.buffers = with}) {}
  void listen(const options& with = {}) {
    auto made = listener::open(where, "ws://127.0.0.1:0/chat", with);
    ASSERT_TRUE(made) << made.error().text();
    listening = *made;
    listening.on_error([this](const error& why) { refusals.push_back(why); });
    listening.on_channel([this](channel arrived) {
      servers.push_back(arrived);
      arrived.on_down([this](const down_info& info) { down = info.reason; });
    });
  }
  [[nodiscard]] std::uint16_t port() const {
    const std::string url = listening.url();
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.find("127.0.0.1:") + 10)));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  void meet(websocket_by_hand& peer) {
    const auto before = servers.size();
    ASSERT_TRUE(turn([&] { return peer.turn() && servers.size() > before; }, "the upgrade"));
  }
  void lend_all() {
    for (const std::size_t size : {std::size_t{16} << 10, std::size_t{1}})
      while (auto one = where.buffers().acquire(size)) lent.push_back(std::move(one));
  }

  boost::asio::io_context io;
  context where;
  listener listening;
  std::vector<channel> servers;
  std::vector<error> refusals;
  std::vector<pooled_buffer> lent;
  error down;
};

TEST_F(ws_memory, that_is_all_lent_keeps_a_message_waiting_without_turning_in_circles) {
  listen();
  websocket_by_hand peer(port(), "/chat");
  meet(peer);
  lend_all();
  peer.send(k_fin | k_text, "hello");
  peer.send(k_fin | k_ping, "x");
  ASSERT_TRUE(turn([&] { return peer.turn() && peer.all_sent(); }, "the kernel to take it"));
  const auto handlers = io.run_for(std::chrono::milliseconds(100));
  EXPECT_GE(handlers, 1u);
  EXPECT_LE(handlers, 50u);
  EXPECT_FALSE(servers[0].try_receive());
  EXPECT_EQ(servers[0].state(), channel_state::up);
  lent.clear();
  result<message> got = errc::would_block;
  ASSERT_TRUE(turn(
      [&] {
        if (!got) got = servers[0].try_receive();
        return peer.turn() && got && !peer.controls().empty();
      },
      "the message, and what is said to the ping behind it"));
  EXPECT_EQ(got->text(), "hello");
}

TEST_F(ws_memory, that_is_all_lent_leaves_enough_for_a_pong) {
  listen();
  websocket_by_hand peer(port(), "/chat");
  meet(peer);
  lend_all();
  peer.send(k_fin | k_ping, "are you there");
  ASSERT_TRUE(turn([&] { return peer.turn() && !peer.controls().empty(); }, "a pong"));
  EXPECT_EQ(peer.controls().front(), "pong are you there");
}

TEST_F(ws_memory, that_is_all_lent_keeps_nobody_out) {
  options with;
  with.connect_timeout = std::chrono::hours(1);
  listen(with);
  lend_all();
  websocket_by_hand peer(port(), "/chat", "X-Long: " + std::string(5000, 'x') + "\r\n");
  meet(peer);
  websocket_by_hand lost(port(), "/elsewhere");
  ASSERT_TRUE(turn([&] { return lost.turn(), lost.ended(); }, "the refusal"));
  EXPECT_THAT(lost.unread(), HasSubstr("HTTP/1.1 404 "));
  channel client = channel::open(where, listening.url(), with).value();
  EXPECT_TRUE(turn([&] { return client.state() == channel_state::up && servers.size() == 2; }, "a channel"));
  client.cut();
}

TEST_F(ws_memory, that_does_not_do_for_a_frame_ends_the_connection_with_1011_which_is_nobodys_fault) {
  listen();
  websocket_by_hand peer(port(), "/chat");
  meet(peer);
  lend_all();
  const std::string frame = websocket_frame(k_fin | k_binary, repeated(100'000), plays::client);
  peer.send(frame.substr(0, 50'000));
  ASSERT_TRUE(turn([&] { return peer.turn() && peer.close_code() != 0 && down.reason() != errc{}; }, "the end"));
  EXPECT_EQ(peer.close_code(), 1011);
  EXPECT_THAT(peer.close_reason(), HasSubstr("no buffer"));
  EXPECT_EQ(down, errc::no_memory) << down.text();
}

/// The same with buffers as sockets have them, and as many as anybody asks for.
class ws_greed : public ws_memory {
 protected:
  ws_greed() : ws_memory({.min_buffer = 1024}) {}

  /// A peer that speaks, and reads only if it is asked for what it received.
  void upgrade(raw_tcp& peer) {
    const auto before = servers.size();
    peer.send(
        "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    ASSERT_TRUE(turn([&] { return servers.size() > before && peer.received().ends_with("\r\n\r\n"); }, "the upgrade"));
  }
  /// Until the text has been heard, or the connection is over.
  void hear(const std::string& text) {
    ASSERT_TRUE(turn(
        [&] {
          const auto got = servers.back().try_receive();
          return down.reason() != errc{} || (got && got->text() == text);
        },
        text));
  }
  [[nodiscard]] std::uint64_t bytes_lent() const { return where.buffers().stats().bytes_lent; }
};

TEST_F(ws_greed, of_who_sends_messages_of_one_byte_that_nobody_takes_has_the_bound_of_their_buffers) {
  constexpr std::size_t k_messages = 20'000;
  options with;
  with.receive_queue_bytes = 64u << 10;
  listen(with);
  raw_tcp peer(port());
  upgrade(peer);
  const std::string one = websocket_frame(k_fin | k_text, "x", plays::client);
  std::string all;
  for (std::size_t i = 0; i < k_messages; ++i) all += one;
  std::string_view left = all;
  ASSERT_TRUE(turn(
      [&] {
        if (const auto n = peer.try_send(left); n > 0) left.remove_prefix(static_cast<std::size_t>(n));
        return left.empty() && servers[0].stats().receive_queue_messages > 500;
      },
      "all to be sent"));
  while (io.poll() != 0) {
  }
  EXPECT_LT(bytes_lent(), 2u << 20);
  std::size_t taken = 0;
  ASSERT_TRUE(turn(
      [&] {
        while (servers[0].try_receive()) ++taken;
        return taken >= k_messages;
      },
      "all of them"));
  EXPECT_EQ(taken, k_messages);
}

TEST_F(ws_greed, of_who_asks_and_reads_nothing_is_answered_as_far_as_there_is_room_and_then_ended) {
  listen();
  raw_tcp peer(port());
  upgrade(peer);
  const std::string large = repeated(256u << 10);
  ASSERT_TRUE(turn([&] { return servers[0].try_send(large).has_error(); }, "the kernel's buffers to be full"));
  const auto before = bytes_lent();
  std::string pings;
  for (int i = 0; i < 900; ++i) pings += websocket_frame(k_fin | k_ping, repeated(125), plays::client);
  peer.send(pings + websocket_frame(k_fin | k_text, "behind them", plays::client));
  hear("behind them");
  EXPECT_EQ(down.reason(), errc{}) << down.text();
  EXPECT_LT(bytes_lent(), before + (1u << 20));
  peer.send(pings);
  ASSERT_TRUE(turn([&] { return down.reason() != errc{}; }, "the end"));
  EXPECT_EQ(down, errc::protocol) << down.text();
}

TEST_F(ws_greed, of_who_answers_what_nobody_asked_is_ended_with_1008) {
  listen();
  raw_tcp peer(port());
  upgrade(peer);
  std::string pongs;
  for (int i = 0; i < 20'000; ++i) pongs += websocket_frame(k_fin | 10, "x", plays::client);
  (void)peer.try_send(pongs);
  ASSERT_TRUE(turn([&] { return down.reason() != errc{} && peer.ended(); }, "the end"));
  EXPECT_EQ(down, errc::protocol) << down.text();
  EXPECT_THAT(peer.received(), HasSubstr(std::string("\x03\xf0", 2))) << "1008";
}

}  // namespace
}  // namespace ferry::test
