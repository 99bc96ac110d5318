#include "apps/ferry/replay_upgrade.hpp"

#include <gtest/gtest.h>

#include <string>

#include "testing/splitter.hpp"

namespace ferry::app {
namespace {

using codec::flow_side;

// The key and the value of RFC 6455, section 1.3.
constexpr std::string_view k_key = "dGhlIHNhbXBsZSBub25jZQ==", k_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

std::string request(std::string_view host, std::string_view key, std::string_view path = "/chat") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) +
         "\r\nsec-websocket-KEY:  " + std::string(key) + "\r\nX-More: 1\r\n\r\n";
}
std::string answer(std::string_view accept) {
  return "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + std::string(accept) + "\r\n\r\n";
}

const std::string k_recorded = request("127.0.0.1:80", "AAAAAAAAAAAAAAAAAAAAAA==") + "frames";
const std::string k_answer = answer("HSmrc0sMlYUkAGmm5OPpG2HaGWk=") + "more frames";

codec::captured_flow flow() {
  codec::captured_flow made;
  made.pieces = {{flow_side::client, 0, as_bytes(k_recorded)}, {flow_side::server, 0, as_bytes(k_answer)}};
  return made;
}
std::string text(const std::vector<std::byte>& from) { return std::string(as_text(from)); }

TEST(replay_upgrade, gives_the_accept_value_of_the_clients_own_key_at_every_cut) {
  const auto live = test::make_bytes(request("localhost:12345", k_key));
  test::for_every_cut(live, [&](bytes head, bytes tail) {
    replay_upgrade one(flow());
    EXPECT_EQ(text(one.read(head)), tail.empty() ? request("127.0.0.1:80", "AAAAAAAAAAAAAAAAAAAAAA==") : "");
    EXPECT_EQ(one.is_ready(0, k_answer.size()), tail.empty());
    if (!tail.empty()) {
      EXPECT_EQ(text(one.read(tail)), request("127.0.0.1:80", "AAAAAAAAAAAAAAAAAAAAAA=="));
    }
    EXPECT_TRUE(one.is_ready(0, k_answer.size()));
  });
  replay_upgrade one(flow());
  (void)one.read(live);
  test::for_every_cut(test::make_bytes(k_answer), [&](bytes head, bytes tail) {
    std::vector<std::byte> first(head.begin(), head.end()), rest(tail.begin(), tail.end());
    one.answer(0, first);
    one.answer(first.size(), rest);
    EXPECT_EQ(text(first) + text(rest), answer(k_accept) + "more frames");
  });
}

TEST(replay_upgrade, leaves_what_follows_the_request_and_what_differs_in_it) {
  replay_upgrade one(flow());
  const std::string other = request("[::1]:80", k_key, "/elsewhere");
  EXPECT_EQ(text(one.read(as_bytes(other + "frames"))),
            request("127.0.0.1:80", "AAAAAAAAAAAAAAAAAAAAAA==", "/elsewhere") + "frames");
  EXPECT_EQ(text(one.read(as_bytes("Host: x\r\n\r\n"))), "Host: x\r\n\r\n");
}

TEST(replay_upgrade, answers_a_subprotocol_by_the_clients_own_of_that_length_as_the_capture_has_it_blank) {
  const std::string end = "\r\n\r\n";
  const auto asked = [&](const std::string& offers) {
    return "GET / HTTP/1.1\r\nSec-WebSocket-Protocol: " + offers + end;
  };
  const auto agreed = [&](const std::string& one) {
    return "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: " + one + end;
  };
  const std::string recorded = asked("xxxxx xxxx"), answered = agreed("xxxx");
  codec::captured_flow blank;
  blank.pieces = {{flow_side::client, 0, as_bytes(recorded)}, {flow_side::server, 0, as_bytes(answered)}};
  for (const auto& [offers, chosen] :
       {std::pair<std::string, std::string>{"secret, chat,mqtt", "chat"}, {"secret", "xxxx"}}) {
    replay_upgrade one(blank);
    EXPECT_FALSE(one.is_ready(0, answered.size()));
    EXPECT_EQ(text(one.read(as_bytes(asked(offers)))), recorded) << "it is not compared";
    ASSERT_TRUE(one.is_ready(0, answered.size()));
    auto sent = test::make_bytes(answered);
    one.answer(0, sent);
    EXPECT_EQ(text(sent), agreed(chosen));
  }
}

TEST(replay_upgrade, lets_everything_through_where_nothing_was_agreed_on_or_the_request_has_no_end) {
  codec::captured_flow refused;
  const std::string no = "HTTP/1.1 404 Not Found\r\nSec-WebSocket-Accept: x\r\n\r\n";
  refused.pieces = {{flow_side::client, 0, as_bytes(k_recorded)}, {flow_side::server, 0, as_bytes(no)}};
  replay_upgrade one(refused);
  EXPECT_TRUE(one.is_ready(0, no.size()));
  const std::string endless(replay_upgrade::k_most_head + 1, 'x');
  EXPECT_EQ(text(one.read(as_bytes(endless))), endless);
  codec::captured_flow nothing;
  EXPECT_EQ(text(replay_upgrade(nothing).read(as_bytes("x"))), "x");
}

}  // namespace
}  // namespace ferry::app
