// The two roles of the peer by hand, played to each other.
#include "testing/websocket_by_hand.hpp"

#include <gtest/gtest.h>

#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

struct by_hand : ::testing::Test {
  template <class Predicate>
  void until(Predicate done) {
    boost::asio::io_context io;
    ASSERT_TRUE(run_until(
        io, [&] { return client.turn(), server.turn(), done(); }, "both"));
  }
  raw_tcp_listener there;
  websocket_by_hand client{there.port(), "/x", "X-More: 1\r\n"};
  websocket_by_hand server{there.accept_fd()};
};

TEST_F(by_hand, peers_agree_on_a_websocket) {
  until([&] { return !client.head().empty() && !server.head().empty(); });
  EXPECT_TRUE(server.head().starts_with("GET /x HTTP/1.1\r\n"));
  EXPECT_NE(server.head().find("\r\nX-More: 1\r\n"), std::string::npos);
  // RFC 6455, 1.3
  EXPECT_NE(client.head().find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
}

TEST_F(by_hand, peers_hear_what_the_other_says) {
  for (auto* const one : {&client, &server}) {
    one->send(k_fin | k_text, "hello");
    one->send({{k_binary, repeated(200)}, {k_ping, "p"}, {0, ""}, {k_fin, repeated(70000)}});
    one->send(k_close, close_payload(4001, "bye"));
  }
  until([&] { return client.close_code() != 0 && server.close_code() != 0; });
  for (const auto* const one : {&client, &server}) {
    EXPECT_EQ(one->messages(), (std::vector<std::string>{"text hello", "binary " + repeated(70200)}));
    EXPECT_EQ(one->controls(), std::vector<std::string>{"ping p"});
    EXPECT_EQ(one->close_code(), 4001);
    EXPECT_EQ(one->close_reason(), "bye");
    EXPECT_EQ(one->complaint(), "");
  }
  server.end();
  until([&] { return client.ended(); });
}

TEST_F(by_hand, peers_complain_of_frames_that_are_against_the_rules) {
  client.send(websocket_frame(k_fin | k_text, "x", plays::server));
  server.send(websocket_frame(k_fin | k_text | 0x40, "x", plays::server));
  until([&] { return !client.complaint().empty() && !server.complaint().empty(); });
  EXPECT_EQ(server.complaint(), "a client that does not mask");
  EXPECT_EQ(client.complaint(), "reserved bits without an agreement");
}

}  // namespace
}  // namespace ferry::test
