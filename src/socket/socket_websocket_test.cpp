// What a peer of a socket sees on the wire when it breaks the rules of WebSocket, and what the socket's owner is told:
// a peer by hand, frame by frame, against what `accept` gave.
#include <ferry/socket.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/socket_world.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

/// Lets the sockets progress until then, or for a minute.
template <class Predicate>
::testing::AssertionResult soon(socket_world& world, Predicate done) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return ::testing::AssertionFailure() << "gave up waiting";
    (void)world.poll(world.listening, socket_events::k_in, 1ms);
  }
  return ::testing::AssertionSuccess();
}

struct broken_rule {
  const char* name;
  int first;  ///< of the frame: FIN, RSV, opcode
  std::string payload;
  int code;                  ///< of the Close that answers it
  const char* error;         ///< of recv
  plays as = plays::client;  ///< whose frames: a client's are masked
};
void PrintTo(const broken_rule& rule, std::ostream* out) { *out << rule.name; }

class sockets_and_a_hostile_peer : public ::testing::TestWithParam<broken_rule>, public socket_world {
 protected:
  sockets_and_a_hostile_peer() : socket_world(socket_transport::ws) {}
};

TEST_P(sockets_and_a_hostile_peer, answer_it_by_the_close_code_of_their_error_while_others_go_on) {
  const broken_rule& rule = GetParam();
  // A channel of the library that behaves, on the same listener.
  ASSERT_NO_FATAL_FAILURE(join({}, {{"maxMessageSize", "1000"}, {"maxFrameSize", "500"}}));
  websocket_by_hand peer(where().port, "/");
  peer.turn();
  const auto hostile = api.accept(listening);
  ASSERT_TRUE(hostile) << hostile.error().text();
  ASSERT_TRUE(soon(*this, [&] { return peer.turn(); }));
  peer.send(k_fin | k_text, "before");
  peer.turn();
  EXPECT_EQ(receive(*hostile), "before");
  peer.send(websocket_frame(rule.first, rule.payload, rule.as));
  peer.turn();
  EXPECT_EQ(receive(*hostile), rule.error);
  ASSERT_TRUE(soon(*this, [&] { return peer.turn(), peer.close_code() != 0 || peer.ended(); }));
  EXPECT_EQ(peer.close_code(), rule.code) << peer.close_reason();
  EXPECT_FALSE(peer.close_reason().empty());
  EXPECT_EQ(peer.complaint(), "");
  peer.send(k_close, close_payload(rule.code));
  ASSERT_TRUE(soon(*this, [&] { return peer.turn(), peer.ended(); }));
  EXPECT_EQ(state(*hostile), "CLOSED");
  EXPECT_EQ(receive(*hostile), rule.error) << "again and again";
  EXPECT_EQ(send(client, "still here"), "10");
  EXPECT_EQ(receive(server), "still here");
}

INSTANTIATE_TEST_SUITE_P(
    each, sockets_and_a_hostile_peer,
    ::testing::Values(broken_rule{"reserved_bits", k_fin | 0x20 | k_text, "x", 1002, "EPROTOCOL"},
                      broken_rule{"an_opcode_that_nobody_knows", k_fin | 3, "x", 1002, "EPROTOCOL"},
                      broken_rule{"a_continuation_of_nothing", k_fin, "x", 1002, "EPROTOCOL"},
                      broken_rule{"a_ping_in_fragments", k_ping & ~k_fin, "x", 1002, "EPROTOCOL"},
                      broken_rule{"a_ping_that_is_too_long", k_ping, repeated(126), 1002, "EPROTOCOL"},
                      broken_rule{"a_close_of_one_byte", k_close, "x", 1002, "EPROTOCOL"},
                      broken_rule{"a_frame_without_a_mask", k_fin | k_text, "x", 1002, "EMASK", plays::server},
                      broken_rule{"a_ping_without_a_mask", k_ping, "", 1002, "EMASK", plays::server},
                      broken_rule{"text_that_is_no_utf_8", k_fin | k_text, "a\xc0\xaf", 1007, "EPROTOCOL"},
                      broken_rule{"text_that_ends_inside_a_character", k_fin | k_text, "\xe2\x82", 1007, "EPROTOCOL"},
                      broken_rule{"a_reason_that_is_no_utf_8", k_close, close_payload(1000, "\xff"), 1007, "EPROTOCOL"},
                      broken_rule{"a_close_code_that_nobody_may_send", k_close, close_payload(1005), 1002, "EPROTOCOL"},
                      broken_rule{"a_frame_above_maxFrameSize", k_fin | k_binary, repeated(501), 1009, "EOVERFLOW"},
                      broken_rule{"a_message_above_maxMessageSize", k_fin | k_binary, repeated(1001), 1009,
                                  "EOVERFLOW"}),
    [](const auto& one) { return std::string(one.param.name); });

class sockets_over_websocket : public ::testing::Test, public socket_world {
 protected:
  sockets_over_websocket() : socket_world(socket_transport::ws) {}
};

TEST_F(sockets_over_websocket, answer_fragments_that_grow_above_the_limit_by_1009) {
  ASSERT_NO_FATAL_FAILURE(listen({{"maxMessageSize", "1000"}}));
  websocket_by_hand peer(where().port, "/");
  peer.turn();
  const auto one = api.accept(listening);
  ASSERT_TRUE(one) << one.error().text();
  peer.send(k_binary, repeated(600));
  peer.send(0, repeated(600));
  peer.turn();
  EXPECT_EQ(receive(*one), "EOVERFLOW");
  ASSERT_TRUE(soon(*this, [&] { return peer.turn(), peer.close_code() != 0; }));
  EXPECT_EQ(peer.close_code(), 1009);
}

TEST_F(sockets_over_websocket, answer_a_server_that_masks_its_frames_by_1002_and_say_emask) {
  raw_tcp_listener there;
  client = made();
  set(client, "nonBlocking", "on");
  (void)api.connect(client, {.host = "127.0.0.1", .port = there.port(), .family = address_family::ipv4});
  listening = client;  // to be turned
  std::unique_ptr<websocket_by_hand> peer;
  ASSERT_TRUE(soon(*this, [&] {
    if (auto fd = there.try_accept()) peer = std::make_unique<websocket_by_hand>(std::move(fd));
    return peer && peer->turn() && state(client) == "OPEN";
  }));
  peer->send(websocket_frame(k_fin | k_text, "x", plays::client));
  peer->turn();
  set(client, "nonBlocking", "off");
  EXPECT_EQ(receive(client), "EMASK");
  ASSERT_TRUE(soon(*this, [&] { return peer->turn(), peer->close_code() != 0; }));
  EXPECT_EQ(peer->close_code(), 1002) << peer->close_reason();
  listening = 0;
}

TEST_F(sockets_over_websocket, hand_on_and_send_fragments_one_by_one) {
  ASSERT_NO_FATAL_FAILURE(listen({{"fragmentationPolicy", "stream"}, {"maxMessageSize", "1000"}}));
  websocket_by_hand peer(where().port, "/");
  peer.turn();
  const auto one = api.accept(listening);
  ASSERT_TRUE(one) << one.error().text();
  peer.send(k_text, "he");
  peer.turn();
  EXPECT_EQ(receive(*one), "he") << "the message has not ended";
  peer.send(k_ping, "between");
  peer.send(k_fin, "llo");
  peer.turn();
  EXPECT_EQ(receive(*one), "llo");
  ASSERT_TRUE(soon(*this, [&] { return peer.turn(), !peer.controls().empty(); }));
  EXPECT_EQ(peer.controls()[0], "pong between");
  EXPECT_EQ(send(*one, "an", socket_flags::k_more), "2");
  EXPECT_EQ(send(*one, "swer"), "4");
  ASSERT_TRUE(soon(*this, [&] { return peer.turn(), !peer.messages().empty(); }));
  EXPECT_EQ(peer.messages()[0], "binary answer");
  EXPECT_EQ(peer.frames(), 2u) << "one for each call";
}

TEST_F(sockets_over_websocket, end_with_etimeout_when_as_many_pings_as_allowed_are_missed_and_come_back) {
  const auto steps = std::make_shared<std::vector<std::string>>();  // the manager outlives this function
  api.on_state([steps](socket_id, socket_state, socket_state now) { steps->emplace_back(to_string(now)); });
  raw_tcp_listener there;
  client = made();
  for (const auto& [name, value] : settings{{"pingInterval", "5ms"},
                                            {"pingTimeout", "5ms"},
                                            {"pingMisses", "2"},
                                            {"reconnect", "on"},
                                            {"reconnectBase", "1ms"},
                                            {"nonBlocking", "on"}})
    set(client, name, value);
  (void)api.connect(client, {.host = "127.0.0.1", .port = there.port(), .family = address_family::ipv4});
  std::vector<std::unique_ptr<websocket_by_hand>> peers;
  const auto watch = [&] {
    if (auto fd = there.try_accept()) peers.push_back(std::make_unique<websocket_by_hand>(std::move(fd)));
    for (const auto& one : peers) one->turn();
    return peers.size() == 2 && state(client) == "OPEN";
  };
  listening = client;  // to be turned
  ASSERT_TRUE(soon(*this, watch));
  EXPECT_EQ(peers[0]->controls().size(), 2u) << "the questions that it did not answer";
  EXPECT_THAT(*steps, ::testing::Contains("RECONNECTING"));
  listening = 0;
}

TEST_F(sockets_over_websocket, say_etimeout_to_the_caller_when_the_peer_answers_no_pings) {
  ASSERT_NO_FATAL_FAILURE(listen({{"pingInterval", "5ms"}, {"pingTimeout", "5ms"}, {"pingMisses", "2"}}));
  websocket_by_hand peer(where().port, "/");
  peer.turn();
  const auto one = api.accept(listening);
  ASSERT_TRUE(one) << one.error().text();
  EXPECT_EQ(receive(*one), "ETIMEOUT");
  EXPECT_EQ(state(*one), "CLOSED");
}

}  // namespace
}  // namespace ferry::test
