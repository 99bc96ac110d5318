// What goes wrong below a WebSocket over TLS: each fault has its name, and other connections do not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "net/http_text.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tls_by_hand.hpp"
#include "testing/tls_world.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* k_key = "dGhlIHNhbXBsZSBub25jZQ==";

class wss_channel : public tls_world {
 protected:
  wss_channel() { where_to_listen = "wss://127.0.0.1:0/chat"; }

  [[nodiscard]] static std::string request() {
    return std::string(
               "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ") +
           k_key + "\r\n\r\n";
  }
  [[nodiscard]] static std::string answer_to(const std::string& asked) {
    const std::string name = "Sec-WebSocket-Key: ";
    const std::string key = asked.substr(asked.find(name) + name.size(), 24);
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
           net::accept_value(key) + "\r\n\r\n";
  }
  /// A client by hand whose upgrade is over, and which has been echoed to once.
  void upgrade(raw_tls& peer) {
    server = {};
    ASSERT_TRUE(turn([&] { return peer.shaken(); }, "the handshake"));
    ASSERT_EQ(peer.reason(), 0);
    ASSERT_TRUE(peer.send(request() + websocket_frame(0x81, "hello", plays::client)));
    const std::string echo = websocket_frame(0x82, "hello", plays::server);
    ASSERT_TRUE(turn([&] { return peer.received().ends_with(echo); }, "the echo"));
  }
  /// `from` is still answered.
  void expect_echo(channel from, const std::string& text) {
    std::string back;
    from.on_message([&](const message_view& m) { back = m.text(); });
    EXPECT_TRUE(from.try_send(text));
    EXPECT_TRUE(turn([&] { return back == text; }, "an echo to who is not concerned"));
    from.on_message([](const message_view&) {});
  }
};

TEST_F(wss_channel, refuses_what_is_expired_or_for_another_host_and_says_so_at_both_ends_while_others_go_on) {
  struct row {
    certificate_wish wish;
    const char* says;
    const char* hears;
  };
  const row rows[] = {{{.from = -3600, .to = -60}, "expired on", "it has expired, renew tls_certificate"},
                      {{.names = "DNS:example.org"},
                       "is for DNS:example.org, not for '127.0.0.1'",
                       "the peer refused our certificate"}};
  for (const auto& [wish, says, hears] : rows) {
    SCOPED_TRACE(says);
    refusals.clear();
    authority.issue(file("host"), wish);
    listen();
    options careless;
    careless.tls_verify = tls_verify_kind::no;
    ASSERT_TRUE(echoes(careless)) << failed.text();
    const channel other = client;
    EXPECT_FALSE(echoes(trusting()));
    EXPECT_EQ(failed, errc::auth);
    EXPECT_THAT(failed.text(), HasSubstr(says));
    ASSERT_TRUE(turn([&] { return !refusals.empty(); }, "the listener to hear of it"));
    EXPECT_EQ(refusals[0], errc::auth);
    EXPECT_THAT(log.lines,
                Contains(AllOf(HasSubstr("listener: "), HasSubstr("connection from 127.0.0.1:"), HasSubstr(hears))));
    expect_echo(other, "still here");
  }
}

TEST_F(wss_channel, takes_a_server_that_is_cut_off_for_a_truncation_and_delivers_what_was_whole) {
  for (const bool inside_a_message : {false, true}) {
    raw_tcp_listener there;
    client = channel::open(where, "wss://127.0.0.1:" + std::to_string(there.port()) + "/chat", trusting()).value();
    std::vector<std::string> heard;
    std::optional<error> down;
    client.on_message([&](const message_view& m) { heard.emplace_back(m.text()); });
    client.on_down([&](const down_info& info) { down = info.reason; });
    std::optional<raw_tls> peer;
    bool answered = false;
    ASSERT_TRUE(turn(
        [&] {
          if (!peer)
            if (auto fd = there.try_accept()) peer.emplace(std::move(fd), file("host"));
          if (!peer || answered || !peer->shaken() || !peer->received().ends_with("\r\n\r\n")) return down.has_value();
          const std::string last = websocket_frame(0x82, "cut off", plays::server);
          answered = peer->send(answer_to(peer->received()) + websocket_frame(0x81, "whole", plays::server) +
                                (inside_a_message ? last.substr(0, 5) : ""));
          peer->hang_up();
          return false;
        },
        "the end"));
    EXPECT_EQ(*down, errc::truncated) << down->text();
    EXPECT_THAT(down->text(), HasSubstr("without close_notify"));
    EXPECT_THAT(heard, ElementsAre("whole"));
  }
}

TEST_F(wss_channel, takes_a_client_that_is_cut_off_for_a_truncation_while_others_go_on) {
  listen();
  ASSERT_TRUE(echoes(trusting())) << failed.text();
  const channel other = client;
  for (const bool inside_a_message : {false, true}) {
    server_downs.clear();
    raw_tls peer(port());
    upgrade(peer);
    if (inside_a_message) {
      ASSERT_TRUE(peer.send(websocket_frame(0x82, "cut off", plays::client).substr(0, 9)));
    }
    peer.hang_up();
    ASSERT_TRUE(turn([&] { return !server_downs.empty(); }, "the end"));
    EXPECT_EQ(server_downs[0], errc::truncated) << server_downs[0].text();
    expect_echo(other, "still here");
  }
}

TEST_F(wss_channel, names_an_upgrade_that_is_cut_off) {
  listen();
  raw_tls peer(port());
  ASSERT_TRUE(turn([&] { return peer.shaken(); }, "the handshake"));
  ASSERT_TRUE(peer.send(request().substr(0, 50)));
  peer.hang_up();
  ASSERT_TRUE(turn([&] { return !refusals.empty(); }, "the listener to hear of it"));
  EXPECT_EQ(refusals[0], errc::truncated) << refusals[0].text();
  EXPECT_THAT(refusals[0].text(), HasSubstr("connection from 127.0.0.1:"));
  EXPECT_THAT(refusals[0].text(), Not(HasSubstr("accepting pauses"))) << "it is nobody else's fault";
  EXPECT_TRUE(echoes(trusting())) << failed.text();
}

TEST_F(wss_channel, refuses_to_negotiate_again_and_goes_on) {
  listen();
  ASSERT_TRUE(echoes(trusting())) << failed.text();
  const channel other = client;
  raw_tls peer(port());
  SSL_set_max_proto_version(peer.ssl(), TLS1_2_VERSION);
  upgrade(peer);
  SSL_renegotiate(peer.ssl());
  ASSERT_TRUE(turn([&] { return peer.shaken(); }, "the answer"));
  EXPECT_EQ(peer.reason(), SSL_R_NO_RENEGOTIATION);
  EXPECT_EQ(server.state(), channel_state::up) << "the refusal ends nothing at our end";
  expect_echo(other, "still here");
}

TEST_F(wss_channel, tells_who_asks_without_tls_what_this_port_speaks) {
  listen();
  raw_tcp plain(port());
  plain.send(request());
  ASSERT_TRUE(turn([&] { return !refusals.empty() && plain.ended(); }, "the refusal"));
  EXPECT_EQ(refusals[0], errc::protocol);
  EXPECT_THAT(refusals[0].text(), HasSubstr("a plain HTTP request came to a port that speaks TLS"));
  EXPECT_TRUE(echoes(trusting())) << failed.text();
}

}  // namespace
}  // namespace ferry::test
