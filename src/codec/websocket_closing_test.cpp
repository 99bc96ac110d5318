#include "codec/websocket_closing.hpp"

#include <gtest/gtest.h>

namespace ferry::codec {
namespace {

using namespace std::chrono_literals;

constexpr time_point k_start{1000s};
constexpr auto k_client = websocket_role::client;
constexpr auto k_server = websocket_role::server;

TEST(websocket_closing, by_us_waits_for_the_peers_close_then_for_the_end) {
  websocket_closing client(k_client, 5s);
  EXPECT_TRUE(client.may_send());
  EXPECT_FALSE(client.next());
  EXPECT_EQ(client.close(1000, k_start), closing_action::send_close);
  EXPECT_EQ(client.code_to_send(), 1000);
  EXPECT_FALSE(client.may_send());
  EXPECT_TRUE(client.may_receive()) << "the peer may not have seen it yet";
  EXPECT_EQ(client.on_close(1000, k_start + 1s), closing_action::none) << "the server ends the stream";
  EXPECT_FALSE(client.may_receive());
  EXPECT_EQ(client.on_end(), closing_action::hang_up);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(client.outcome().clean);
  EXPECT_EQ(client.outcome().code, 1000);
}

TEST(websocket_closing, by_the_peer_is_answered_with_its_code_and_the_server_ends_the_stream) {
  websocket_closing server(k_server, 5s);
  EXPECT_EQ(server.on_close(3001, k_start), closing_action::send_close_and_end);
  EXPECT_EQ(server.code_to_send(), 3001);
  EXPECT_EQ(server.on_end(), closing_action::hang_up);
  EXPECT_EQ(server.outcome().code, 3001);
  websocket_closing client(k_client, 5s);
  EXPECT_EQ(client.on_close(websocket_close_code::none, k_start), closing_action::send_close);
  EXPECT_EQ(client.code_to_send(), websocket_close_code::none) << "a Close without a code is answered by one";
}

TEST(websocket_closing, of_both_at_once_sends_one_close_each) {
  websocket_closing server(k_server, 5s);
  EXPECT_EQ(server.close(1001, k_start), closing_action::send_close);
  EXPECT_EQ(server.on_close(1000, k_start), closing_action::end_stream);
  EXPECT_EQ(server.on_close(1000, k_start), closing_action::none);
  EXPECT_EQ(server.close(1001, k_start), closing_action::none);
  EXPECT_EQ(server.on_end(), closing_action::hang_up);
  EXPECT_TRUE(server.outcome().clean);
}

TEST(websocket_closing, never_outlasts_its_deadline) {
  for (const bool answered : {false, true}) {
    websocket_closing client(k_client, 5s);
    (void)client.close(1000, k_start);
    if (answered) (void)client.on_close(1000, k_start + 4s);
    EXPECT_EQ(client.next(), k_start + 5s);
    EXPECT_EQ(client.on_timer(k_start + 4s), closing_action::none);
    EXPECT_EQ(client.on_timer(k_start + 5s), closing_action::hang_up);
    EXPECT_EQ(client.outcome().clean, answered);
    EXPECT_EQ(client.outcome().code, answered ? 1000 : websocket_close_code::abnormal);
    EXPECT_FALSE(client.next());
    EXPECT_EQ(client.on_timer(k_start + 9s), closing_action::none);
    EXPECT_EQ(client.on_end(), closing_action::none);
  }
}

TEST(websocket_closing, after_a_fault_says_why_and_ends_the_stream_but_reads_on) {
  websocket_closing server(k_server, 5s);
  EXPECT_EQ(server.fail(1009, k_start), closing_action::send_close_and_end);
  EXPECT_EQ(server.code_to_send(), 1009);
  EXPECT_FALSE(server.may_receive());
  EXPECT_EQ(server.on_close(1000, k_start), closing_action::none);
  EXPECT_EQ(server.on_timer(k_start + 5s), closing_action::hang_up);
  EXPECT_FALSE(server.outcome().clean);
  websocket_closing asked(k_server, 5s);
  (void)asked.close(1000, k_start);
  EXPECT_EQ(asked.fail(1002, k_start), closing_action::end_stream) << "there is one Close, and it is sent";
}

TEST(websocket_closing, a_stream_that_ends_without_a_close_was_cut) {
  websocket_closing open(k_client, 5s);
  EXPECT_EQ(open.on_end(), closing_action::hang_up);
  EXPECT_FALSE(open.outcome().clean);
  EXPECT_EQ(open.outcome().code, websocket_close_code::abnormal);
  websocket_closing asked(k_client, 5s);
  (void)asked.close(1000, k_start);
  EXPECT_EQ(asked.on_end(), closing_action::hang_up);
  EXPECT_FALSE(asked.outcome().clean);
}

}  // namespace
}  // namespace ferry::codec
