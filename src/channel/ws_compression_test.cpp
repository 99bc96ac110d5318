// What the options about compression come to on a connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "testing/listening_world.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ws_compression : public listening_world {
 protected:
  void welcome(channel arrived) override {
    server = arrived;
    arrived.on_message([](const message_view&) {});
    arrived.on_down([this](const down_info& info) { down = info.reason; });
  }
  [[nodiscard]] static options compressing(std::uint32_t window_bits, bool context_takeover) {
    options with;
    with.ws_compression = true;
    with.ws_window_bits = window_bits;
    with.ws_context_takeover = context_takeover;
    return with;
  }
  /// Bytes of the first and of the second frame of one text, sent twice to a peer that takes what is offered.
  void send_twice(const options& with) {
    server = {};
    listen_at("ws://127.0.0.1:0/chat", with);
    websocket_by_hand peer(port(), "/chat", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    ASSERT_TRUE(turn([&] { return peer.turn() && server && server.state() == channel_state::up; }, "the upgrade"));
    head = peer.head();
    std::string text;  // nothing in it comes again
    std::minstd_rand random(1);
    for (int i = 0; i < 2000; ++i) text.push_back(static_cast<char>('0' + random() % 64));
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(server.try_send(text));
    ASSERT_TRUE(turn([&] { return peer.turn() && peer.messages().size() == 2; }, "both"));
    first = peer.messages()[0].size();
    second = peer.messages()[1].size();
    listening.close();
  }

  channel server;
  error down;
  std::string head;
  std::size_t first = 0, second = 0;
};

TEST_F(ws_compression, refers_to_earlier_messages_as_far_as_the_agreed_window_reaches) {
  send_twice(compressing(15, true));
  EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Extensions: permessage-deflate"));
  EXPECT_THAT(head, Not(HasSubstr("no_context_takeover")));
  EXPECT_LT(second, first / 10);
  send_twice(compressing(9, true));
  EXPECT_THAT(head, AllOf(HasSubstr("server_max_window_bits=9"), HasSubstr("client_max_window_bits=9")));
  EXPECT_GT(second, first / 2) << "512 bytes do not reach back to the first one";
  send_twice(compressing(15, false));
  EXPECT_THAT(head, AllOf(HasSubstr("server_no_context_takeover"), HasSubstr("client_no_context_takeover")));
  EXPECT_EQ(second, first);
}

TEST_F(ws_compression, carries_what_two_ends_agree_on_that_want_something_else) {
  listen_at("ws://127.0.0.1:0/chat", compressing(9, false));
  channel client = channel::open(where, listening.url(), compressing(12, true)).value();
  std::vector<std::string> back;
  client.on_message([&](const message_view& m) { back.emplace_back(m.text()); });
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::up && server; }, "both"));
  server.on_message([this](const message_view& m) { EXPECT_TRUE(server.try_send(m.text())); });
  const std::string text = repeated(20'000) + "and" + repeated(20'000);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn([&] { return back.size() == 3; }, "the echoes"));
  for (const auto& one : back) EXPECT_TRUE(one == text);
  EXPECT_TRUE(client.peer().websocket->compressed);
}

// Bytes that nothing makes shorter are a little longer on the wire than max_message allows the message to be.
TEST_F(ws_compression, takes_the_largest_message_where_its_frame_is_larger) {
  auto with = compressing(15, true);
  with.max_message = 1000;
  listen_at("ws://127.0.0.1:0/chat", with);
  websocket_by_hand peer(port(), "/chat", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  ASSERT_TRUE(turn([&] { return peer.turn() && server && server.state() == channel_state::up; }, "the upgrade"));
  std::string got;
  server.on_message([&](const message_view& m) { got = m.text(); });
  const auto stored = [](const std::string& text) {  // one block as it is, and the first byte of an empty one
    const auto size = static_cast<std::uint16_t>(text.size());
    const auto byte = [](unsigned value) { return static_cast<char>(value & 0xff); };
    return std::string{'\0', byte(size), byte(size >> 8), byte(~size), byte(~size >> 8)} + text + std::string(1, '\0');
  };
  const std::string largest(1000, 'x');
  peer.send(k_fin | 0x40 | k_text, stored(largest));
  ASSERT_TRUE(turn([&] { return peer.turn() && (!got.empty() || down.reason() != errc{}); }, "the message"));
  EXPECT_EQ(got, largest) << down.text();
  peer.send(k_fin | 0x40 | k_text, stored(largest + "x"));
  ASSERT_TRUE(turn([&] { return peer.turn() && down.reason() != errc{}; }, "the end"));
  EXPECT_EQ(down, errc::message_too_large);
  EXPECT_THAT(down.text(), HasSubstr("larger than max_message"));
}

TEST_F(ws_compression, says_what_a_plain_message_is_larger_than) {
  options with;
  with.max_message = 1000;
  listen_at("ws+raw://127.0.0.1:0", with);
  raw_tcp peer(port());
  peer.send(websocket_frame(k_fin | k_text, std::string(1001, 'x'), plays::client));
  ASSERT_TRUE(turn([&] { return down.reason() != errc{} && peer.ended(); }, "the end"));
  EXPECT_THAT(down.text(), HasSubstr("a message larger than max_message (1001, at most 1000)"));
}

TEST_F(ws_compression, is_none_in_raw_mode_where_its_bit_is_a_fault) {
  options with;
  with.ws_compression = true;
  listen_at("ws+raw://127.0.0.1:0", with);
  raw_tcp peer(port());
  peer.send(websocket_frame(k_fin | 0x40 | k_text, "x", plays::client));
  ASSERT_TRUE(turn([&] { return down.reason() != errc{} && peer.ended(); }, "the end"));
  EXPECT_EQ(down, errc::protocol) << down.text();
  EXPECT_THAT(peer.received(), HasSubstr(std::string("\x03\xea", 2))) << "1002";
}

}  // namespace
}  // namespace ferry::test
