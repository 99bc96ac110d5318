// What ws:// and its kin promise beyond what every channel does: kinds, parts, closing, what a peer may not do.
#include <ferry/url.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "net/transports.hpp"
#include "testing/faulty_stream.hpp"
#include "testing/listening_world.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A frame as a client sends it, masked with zeros, which change nothing.
std::string frame(int first_byte, const std::string& payload, bool masked = true) {
  std::string made(1, static_cast<char>(first_byte));
  made += static_cast<char>(static_cast<int>(payload.size()) + (masked ? 0x80 : 0));  // below 126
  if (masked) made.append(4, '\0');
  return made + payload;
}
std::string close_payload(int code) { return {static_cast<char>(code >> 8), static_cast<char>(code & 255)}; }

class ws_channel : public listening_world {
 protected:
  void listen(const std::string& url, const options& with = {}) { listen_at(url, with); }
  void welcome(channel arrived) override {
    server = arrived;
    arrived.on_message([this, arrived](const message_view& m) mutable {
      heard.emplace_back((m.first ? "" : "+") + std::string(m.text()) + (m.more ? "..." : ""));
      if (echoes) (void)arrived.try_send(m.payload, m.kind);
    });
    arrived.on_down([this](const down_info& info) { server_down = info.reason; });
  }
  void connect(const options& with = {}, const std::string& path = {}) {
    auto made = channel::open(where, listening.url() + path, with);
    ASSERT_TRUE(made) << made.error().text();
    client = *made;
    watch_client();
  }
  void watch_client() {
    client.on_message([this](const message_view& m) {
      back.emplace_back((m.kind == message_kind::text ? "text " : "binary ") + std::string(m.text()));
    });
    client.on_down([this](const down_info& info) { client_down = info.reason; });
    client.on_connect_failure([this](const error& why) { failure = why; });
  }

  channel client, server;
  bool echoes = true;
  std::vector<std::string> heard, back;
  error server_down, client_down, failure;
};

TEST_F(ws_channel, carries_text_and_binary_over_each_of_its_schemes) {
  options with;
  tls_authority().issue(dir.file("host.pem"), {.names = "DNS:localhost,IP:127.0.0.1"});
  with.tls_certificate = dir.file("host.pem");
  with.tls_ca = dir.file("host.pem.ca");
  with.tls_verify = tls_verify_kind::no;
  for (const std::string& url : {std::string("ws://127.0.0.1:0/chat"), std::string("ws+raw://127.0.0.1:0"),
                                 std::string("wss://127.0.0.1:0/chat"), std::string("wss+raw://127.0.0.1:0"),
                                 "ws+ipc://" + dir.file("socket") + "?path=/chat"}) {
    SCOPED_TRACE(url);
    back.clear();
    listen(url, with);
    connect(with);
    ASSERT_TRUE(client.try_send("hello"));
    ASSERT_TRUE(client.try_send(as_bytes("\xff\x00 bytes")));
    ASSERT_TRUE(client.try_send(""));
    ASSERT_TRUE(turn([&] { return back.size() == 3; }, "the echoes"));
    EXPECT_THAT(back, ElementsAre("text hello", "binary \xff", "text "));
    EXPECT_TRUE(client.traits().carries_kind && client.traits().carries_parts && !client.traits().carries_type);
    bool closed = false;
    client.async_close([&](error_code failed, const close_report& report) {
      closed = true;
      EXPECT_TRUE(report.clean()) << failed.message() << report.reason.text();
    });
    ASSERT_TRUE(turn([&] { return closed && server_down == errc::end_of_stream; }, "both ends"));
    EXPECT_EQ(server_down.text(), "the peer closed the WebSocket: 1000 normal closure");
    listening.close();
    server_down = {};
  }
}

TEST_F(ws_channel, carries_a_message_of_any_size_through_any_cut) {
  const auto faults = std::make_shared<fault_plan>();
  where.register_transport("faultyws",
                           net::make_ws_transport(std::make_shared<faulty_transport>(faults), net::ws_start::raw));
  for (const std::size_t most : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, SIZE_MAX}) {
    faults->most_per_read = faults->most_per_write = most;
    back.clear();
    listen("faultyws://meeting");
    connect();
    std::vector<std::string> sent;
    for (const std::size_t size : {0u, 1u, 125u, 126u, 4000u, 65535u, 65536u}) {
      if (most < 1000 && size > 4000) continue;
      sent.emplace_back(size, static_cast<char>('a' + size % 26));
      ASSERT_TRUE(client.try_send(sent.back()));
      sent.back() = "text " + sent.back();
    }
    ASSERT_TRUE(turn([&] { return back.size() == sent.size(); }, "the echoes"));
    EXPECT_TRUE(back == sent) << most;
    client.cut();
    ASSERT_TRUE(turn([&] { return server_down.reason() != errc{}; }, "the end"));
    // A cut waits for nothing: a Close that finds no room is not sent.
    EXPECT_THAT(server_down.text(), HasSubstr(most < 4 ? "WebSocket" : "1001"));
    server_down = {};
    listening.close();
  }
}

TEST_F(ws_channel, sends_and_delivers_a_message_in_parts) {
  options pieces;
  pieces.ws_delivery = ws_delivery_kind::pieces;
  echoes = false;
  listen("ws+raw://127.0.0.1:0", pieces);
  connect();
  ASSERT_TRUE(client.try_send_part(as_bytes("\xe2\x82"), true, message_kind::text));
  ASSERT_TRUE(client.try_send_part(as_bytes("\xac and"), true));
  EXPECT_EQ(client.try_send_part(as_bytes("\xff"), true).error(), errc::misuse) << "no UTF-8 goes on so";
  ASSERT_TRUE(client.try_send_part(as_bytes(" more"), false));
  ASSERT_TRUE(client.try_send("whole"));
  ASSERT_TRUE(turn([&] { return !heard.empty() && heard.back() == "whole"; }, "the parts"));
  std::string together;
  for (const auto& one : heard) together += one;
  EXPECT_EQ(together, "\xe2\x82...+\xac and...+ morewhole");
}

TEST_F(ws_channel, puts_parts_together_where_whole_messages_are_wanted) {
  listen("ws+raw://127.0.0.1:0");
  options split;
  split.ws_fragment_above = 125;
  connect(split);
  ASSERT_TRUE(client.try_send_part(as_bytes("one "), true));
  ASSERT_TRUE(client.try_send_part(as_bytes("two"), false));
  ASSERT_TRUE(client.try_send(std::string(1000, 'x')));
  ASSERT_TRUE(turn([&] { return back.size() == 2; }, "the echoes"));
  EXPECT_EQ(heard[0], "one two");
  EXPECT_EQ(heard[1], std::string(1000, 'x'));
}

TEST_F(ws_channel, lets_a_part_wait_for_room_like_a_message) {
  listen("ws+raw://127.0.0.1:0");
  options narrow;
  narrow.send_queue_bytes = 1000;
  connect(narrow);
  const std::string part(900, 'p');
  std::vector<error_code> told;
  const auto note = [&](error_code done) { told.push_back(done); };
  for (const bool more : {true, true, true, false})
    client.async_send_part(as_bytes(part), more, message_kind::text, note);
  client.async_send(as_bytes("behind it"), message_kind::text, 0, note);
  EXPECT_EQ(client.stats().send_queue_messages, 1u) << "there is room for one of them";
  ASSERT_TRUE(turn([&] { return heard.size() == 2; }, "the message and the one behind it"));
  EXPECT_EQ(heard[0], part + part + part + part);
  EXPECT_EQ(heard[1], "behind it");
  EXPECT_EQ(told, std::vector<error_code>(5));
}

TEST_F(ws_channel, gives_up_all_parts_that_wait_when_their_beginning_is_lost) {
  const auto faults = std::make_shared<fault_plan>();
  faults->capacity = 1000;
  where.register_transport("faultyws",
                           net::make_ws_transport(std::make_shared<faulty_transport>(faults), net::ws_start::raw));
  options kept;
  kept.reconnect = true;
  kept.reconnect_base = kept.reconnect_max = std::chrono::milliseconds(1);
  kept.send_queue_bytes = 100;
  options pieces;
  pieces.ws_delivery = ws_delivery_kind::pieces;  // else the part of a message is read to its end
  listen("faultyws://meeting", pieces);
  connect(kept);
  ASSERT_TRUE(turn([&] { return server && client.state() == channel_state::up; }, "a channel"));
  server.pause();
  const std::string beginning(500, 'b'), more(20'000, 'm');
  ASSERT_TRUE(client.try_send_part(as_bytes(beginning), true));
  ASSERT_TRUE(turn([&] { return client.stats().messages_sent == 1; }, "the beginning to be out"));
  ASSERT_TRUE(client.try_send_part(as_bytes(more), true));
  std::vector<error_code> told;
  const auto note = [&](error_code done) { told.push_back(done); };
  client.async_send_part(as_bytes(more), true, message_kind::binary, note);
  client.async_send_part(as_bytes("the end"), false, message_kind::binary, note);
  client.async_send(as_bytes("another"), note);
  run_ready(io);
  ASSERT_TRUE(told.empty()) << "they wait for room";
  server.cut();
  ASSERT_TRUE(turn([&] { return !heard.empty() && told.size() == 3; }, "what is another message"));
  EXPECT_THAT(told, ElementsAre(errc::reset, errc::reset, error_code()));
  EXPECT_THAT(heard, ElementsAre("another"));
}

TEST_F(ws_channel, takes_no_parts_where_many_threads_send_or_messages_are_whole) {
  listen("ws+raw://127.0.0.1:0");
  options many;
  many.senders = senders_kind::many;
  connect(many);
  const auto refused = client.try_send_part(as_bytes("a part"), true);
  EXPECT_EQ(refused.error(), errc::unsupported);
  EXPECT_THAT(refused.error().text(), HasSubstr("a message in parts needs senders=one"));
  ASSERT_TRUE(client.try_send_part(as_bytes("all of it"), false));
  ASSERT_TRUE(turn([&] { return !heard.empty(); }, "a message of one part"));
  EXPECT_THAT(heard, ElementsAre("all of it"));
  channel whole = channel::open(where, "inproc://nobody").value();
  std::optional<error_code> told;
  whole.async_send_part(as_bytes("a part"), true, message_kind::binary, [&](error_code done) { told = done; });
  ASSERT_TRUE(turn([&] { return told.has_value(); }, "an answer"));
  EXPECT_EQ(*told, errc::unsupported);
}

TEST_F(ws_channel, compresses_where_both_want_it) {
  options with;
  with.ws_compression = true;
  listen("ws://127.0.0.1:0/", with);
  connect(with);
  const std::string text(100'000, 'z');
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn([&] { return back.size() == 3; }, "the echoes"));
  for (const auto& one : back) EXPECT_TRUE(one == "text " + text);
  ASSERT_TRUE(client.peer().websocket);
  EXPECT_TRUE(client.peer().websocket->compressed);
}

TEST_F(ws_channel, says_what_was_asked_for_and_refuses_another_path) {
  options speaks;
  speaks.ws_subprotocols = "chat, superchat";
  listen("ws://127.0.0.1:0/chat", speaks);
  options asks;
  asks.ws_subprotocols = "superchat";
  asks.ws_headers = "X-Token: 42";
  auto made = channel::open(where, "ws://127.0.0.1:" + std::to_string(port()) + "/chat?room=1", asks);
  ASSERT_TRUE(made);
  client = *made;
  ASSERT_TRUE(turn([&] { return server && client.state() == channel_state::up; }, "a channel"));
  const auto info = server.peer().websocket;
  ASSERT_TRUE(info && info->request);
  EXPECT_EQ(info->request->path, "/chat");
  EXPECT_EQ(info->request->query, "room=1");
  EXPECT_EQ(info->request->header("x-token"), "42");
  EXPECT_EQ(info->subprotocol, "superchat");
  EXPECT_EQ(client.peer().websocket->subprotocol, "superchat");

  made = channel::open(where, "ws://127.0.0.1:" + std::to_string(port()) + "/elsewhere");
  ASSERT_TRUE(made);
  client = *made;
  watch_client();
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed && !refusals.empty(); }, "a refusal"));
  EXPECT_EQ(client.last_error(), errc::not_found) << client.last_error().text();
}

TEST_F(ws_channel, tells_code_and_reason_of_a_close_both_ways) {
  listen("ws+raw://127.0.0.1:0");
  connect();
  EXPECT_EQ(client.set_close_note(1005).error(), errc::misuse);
  ASSERT_TRUE(turn([&] { return server && client.state() == channel_state::up; }, "a channel"));
  ASSERT_TRUE(client.set_close_note(4001, "enough"));
  client.half_close();
  ASSERT_TRUE(turn([&] { return server_down == errc::end_of_stream; }, "the end"));
  EXPECT_EQ(server_down.text(), "the peer closed the WebSocket: 4001: enough");
  ASSERT_TRUE(server.peer_close_note());
  EXPECT_EQ(server.peer_close_note()->code, 4001);
  EXPECT_EQ(server.peer_close_note()->reason, "enough");
}

struct wrong {
  const char* what;
  std::string bytes;
  int code;
  errc is;
};

TEST_F(ws_channel, answers_what_a_peer_may_not_do_with_a_close_that_says_so) {
  options with;
  with.max_message = 100;
  listen("ws+raw://127.0.0.1:0", with);
  const wrong all[] = {
      {"an unmasked frame", frame(0x82, "x", false), 1002, errc::mask},
      {"a reserved bit", frame(0xc2, "x"), 1002, errc::protocol},
      {"nothing to continue", frame(0x80, "x"), 1002, errc::protocol},
      {"no text", frame(0x81, "\xff"), 1007, errc::protocol},
      {"too much", frame(0x82, std::string(101, 'x')), 1009, errc::message_too_large},
      {"too much in parts", frame(0x02, std::string(60, 'x')) + frame(0x80, std::string(60, 'x')), 1009,
       errc::message_too_large},
      {"a Close code that is none", frame(0x88, close_payload(1005)), 1002, errc::protocol},
  };
  for (const auto& one : all) {
    SCOPED_TRACE(one.what);
    server_down = {};
    raw_tcp peer(port());
    peer.send(one.bytes);
    ASSERT_TRUE(turn([&] { return peer.ended(); }, "an end"));
    const std::string answer = peer.received();
    ASSERT_GE(answer.size(), 4u);
    EXPECT_EQ(static_cast<unsigned char>(answer[0]), 0x88);
    EXPECT_EQ(answer.substr(2, 2), close_payload(one.code));
    peer.close();
    ASSERT_TRUE(turn([&] { return server_down == one.is; }, "the reason"));
  }
}

TEST_F(ws_channel, answers_pings_also_inside_of_a_message) {
  listen("ws+raw://127.0.0.1:0");
  raw_tcp peer(port());
  peer.send(frame(0x89, "a") + frame(0x01, "he") + frame(0x89, "bc") + frame(0x80, "y"));
  const std::string wanted = frame(0x8a, "a", false) + frame(0x8a, "bc", false) + frame(0x81, "hey", false);
  ASSERT_TRUE(turn([&] { return peer.received().size() >= wanted.size(); }, "the answers"));
  std::string got = peer.take(wanted.size());
  EXPECT_THAT(got, HasSubstr(frame(0x8a, "a", false) + frame(0x8a, "bc", false)));
  EXPECT_THAT(got, HasSubstr(frame(0x81, "hey", false)));
}

// One reads what came, and one writes the answer, for each of those who spoke at once.
TEST_F(ws_channel, passes_the_same_buffers_on_from_one_to_the_next) {
  listen("ws+raw://127.0.0.1:0");
  std::vector<std::unique_ptr<raw_tcp>> peers;
  const auto all_ask = [&] {
    for (const auto& one : peers) one->send(frame(0x82, "ask"));
    for (const auto& one : peers) {
      ASSERT_TRUE(turn([&] { return !one->received().empty(); }, "an answer"));
      EXPECT_EQ(one->take(100), frame(0x82, "ask", false));
    }
  };
  for (int i = 0; i < 8; ++i) peers.push_back(std::make_unique<raw_tcp>(port()));
  all_ask();
  const auto borrowed = [this] { return where.buffers().stats().hits + where.buffers().stats().misses; };
  const auto before = borrowed();
  all_ask();
  EXPECT_LE(borrowed() - before, 4u);
  EXPECT_EQ(where.buffers().stats().bytes_lent, 0u);
}

// Where a message used to have one answer, that is sent from where it lies.
TEST_F(ws_channel, queues_no_answer_that_comes_alone_as_those_before_did) {
  listen("ws+raw://127.0.0.1:0");
  raw_tcp peer(port());
  std::uint64_t sent = 0;
  const auto ask = [&](const std::string& what) {
    peer.send(frame(0x81, what));
    ASSERT_TRUE(turn([&] { return !peer.received().empty(); }, "an answer"));
    EXPECT_EQ(peer.take(1000), frame(0x81, what, false));
    sent += 8 + what.size();
  };
  const auto borrowed = [this] { return where.buffers().stats().hits + where.buffers().stats().misses; };
  for (int i = 0; i < 20; ++i) ask("first " + std::to_string(i));
  const auto before = borrowed();
  for (int i = 0; i < 20; ++i) ask("then " + std::to_string(i));
  EXPECT_EQ(borrowed() - before, 20u) << "for reading";
  EXPECT_EQ(server.stats().messages_sent, 40u);
  EXPECT_EQ(server.stats().bytes_sent, sent);
  EXPECT_EQ(server.stats().writes, 40u);
}

TEST_F(ws_channel, sends_answers_to_one_batch_together_whatever_there_was_before) {
  listen("ws+raw://127.0.0.1:0");
  raw_tcp peer(port());
  const auto ask = [&](const std::string& all, const std::string& answer) {
    peer.send(all);
    ASSERT_TRUE(turn([&] { return peer.received().size() >= answer.size(); }, "the answers"));
    EXPECT_EQ(peer.take(1000), answer);
  };
  for (int i = 0; i < 20; ++i) ask(frame(0x81, "one"), frame(0x81, "one", false));
  const auto before = server.stats().writes;
  for (int i = 0; i < 20; ++i)
    ask(frame(0x81, "one") + frame(0x81, "two"), frame(0x81, "one", false) + frame(0x81, "two", false));
  EXPECT_EQ(server.stats().writes - before, 20u);
}

TEST_F(ws_channel, loses_nothing_of_an_answer_that_is_taken_in_part) {
  const auto faults = std::make_shared<fault_plan>();
  where.register_transport("faultyws",
                           net::make_ws_transport(std::make_shared<faulty_transport>(faults), net::ws_start::raw));
  listen("faultyws://meeting");
  connect();
  const auto ask = [&](const std::string& what) {
    back.clear();
    ASSERT_TRUE(client.try_send(what));
    ASSERT_TRUE(turn([&] { return !back.empty(); }, "an answer"));
    EXPECT_THAT(back, ElementsAre("text " + what));
  };
  for (int i = 0; i < 20; ++i) ask("whole");
  for (std::size_t cut = 1; cut <= 10; ++cut) {
    faults->most_per_write = cut;
    ask("cut " + std::to_string(cut));
  }
  ASSERT_TRUE(turn([&] { return server.stats().send_queue_bytes == 0; }, "all to be out"));
  EXPECT_EQ(server.stats().messages_sent, 30u);
}

TEST_F(ws_channel, ends_a_flood_of_pings_with_a_close) {
  listen("ws+raw://127.0.0.1:0");
  raw_tcp peer(port());
  std::string flood;
  for (int i = 0; i < 3000; ++i) flood += frame(0x89, "");
  peer.send(flood);
  ASSERT_TRUE(turn([&] { return peer.ended(); }, "an end"));
  EXPECT_THAT(peer.received(), HasSubstr(close_payload(1008)));
}

TEST_F(ws_channel, answers_a_close_behind_what_was_to_be_said) {
  listen("ws+raw://127.0.0.1:0");
  raw_tcp peer(port());
  peer.send(frame(0x81, "last") + frame(0x88, close_payload(1000) + "bye"));
  ASSERT_TRUE(turn([&] { return peer.ended(); }, "an end"));
  EXPECT_EQ(peer.received(), frame(0x81, "last", false) + frame(0x88, close_payload(1000), false));
  EXPECT_EQ(server_down.text(), "the peer closed the WebSocket: 1000 normal closure: bye");
}

TEST_F(ws_channel, calls_an_end_without_a_close_a_broken_connection) {
  listen("ws+raw://127.0.0.1:0");
  for (const std::string& last : {frame(0x81, "hello"), frame(0x81, "hello") + frame(0x01, "he")}) {
    server_down = {};
    heard.clear();
    raw_tcp peer(port());
    peer.send(last);
    ASSERT_TRUE(turn([&] { return heard.size() == 1; }, "the message"));
    peer.close();
    ASSERT_TRUE(turn([&] { return server_down.reason() != errc{}; }, "the end"));
    EXPECT_TRUE(server_down == errc::reset || server_down == errc::truncated) << server_down.text();
  }
}

TEST_F(ws_channel, gives_a_peer_up_that_answers_no_pings) {
  options with;
  with.ping_interval = with.ping_timeout = std::chrono::milliseconds(5);
  with.ping_misses = 2;
  listen("ws+raw://127.0.0.1:0", with);
  raw_tcp peer(port());
  ASSERT_TRUE(turn([&] { return server_down == errc::timeout; }, "the end"));
  EXPECT_THAT(server_down.text(), HasSubstr("2 WebSocket pings"));
  EXPECT_THAT(peer.received(), HasSubstr("\x89\x08"));
}

TEST_F(ws_channel, measures_the_round_trip_to_a_peer_that_answers) {
  options with;
  with.ping_interval = std::chrono::milliseconds(2);
  listen("ws+raw://127.0.0.1:0");
  connect(with);
  ASSERT_TRUE(turn([&] { return client.stats().round_trip.has_value(); }, "a pong"));
  EXPECT_EQ(client.stats().pings_missed, 0u);
}

TEST_F(ws_channel, asks_an_idle_peer_before_it_gives_it_up) {
  options with;
  with.idle_timeout = std::chrono::milliseconds(3);
  with.ping_interval = std::chrono::milliseconds(0);
  with.idle_policy = idle_policy_kind::ping;
  listen("ws+raw://127.0.0.1:0");
  connect(with);
  ASSERT_TRUE(turn([&] { return client.stats().round_trip.has_value(); }, "a pong"));
  EXPECT_EQ(client.state(), channel_state::up);
  with.ping_timeout = std::chrono::milliseconds(3);
  with.ping_misses = 1;
  listening.close();
  listen("ws+raw://127.0.0.1:0", with);
  raw_tcp peer(port());
  ASSERT_TRUE(turn([&] { return server_down == errc::timeout; }, "the end"));
}

TEST_F(ws_channel, takes_no_framing_and_no_session) {
  for (const char* set : {"framing=typed", "session=persistent"}) {
    options with;
    with.as = "somebody";
    const std::string pair = set;
    const auto equals = pair.find('=');
    ASSERT_FALSE(set_option(with, pair.substr(0, equals), pair.substr(equals + 1)));
    const auto made = channel::open(where, "ws://127.0.0.1:1/", with);
    ASSERT_FALSE(made) << set;
    EXPECT_TRUE(made.error() == errc::bad_option || made.error() == errc::unsupported) << made.error().text();
  }
  listen("ws+raw://127.0.0.1:0");
  connect();
  EXPECT_EQ(client.try_send(as_bytes("x"), message_kind::binary, 7).error(), errc::unsupported);
  EXPECT_EQ(client.try_send("\xff").error(), errc::misuse);
}

TEST_F(ws_channel, refuses_who_takes_too_long_with_the_handshake) {
  options with;
  with.connect_timeout = std::chrono::milliseconds(5);
  listen("ws://127.0.0.1:0", with);
  raw_tcp peer(port());
  peer.send("GET / HTTP/1.1\r\n");
  ASSERT_TRUE(turn([&] { return peer.ended() && !refusals.empty(); }, "a refusal"));
  EXPECT_EQ(refusals.front(), errc::timeout);
  EXPECT_THAT(peer.received(), ::testing::StartsWith("HTTP/1.1 408 "));
}

}  // namespace
}  // namespace ferry::test
