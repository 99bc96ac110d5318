// How a WebSocket channel finds out whether its peer is still there, also where one end has said its last.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "testing/listening_world.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::HasSubstr;

class ws_life : public listening_world {
 protected:
  void listen(const options& with) { listen_at("ws://127.0.0.1:0/chat", with); }
  void welcome(channel arrived) override {
    server = arrived;
    arrived.on_message([this](const message_view& m) { heard.emplace_back(m.text()); });
    arrived.on_down([this](const down_info& info) { down = info.reason; });
  }
  /// Until the upgrade of `peer` is over at both ends.
  void meet(websocket_by_hand& peer) {
    server = {};
    down = {};
    ASSERT_TRUE(turn([&] { return peer.turn() && server && server.state() == channel_state::up; }, "the upgrade"));
  }
  [[nodiscard]] static std::size_t pings(const websocket_by_hand& peer) {
    return static_cast<std::size_t>(
        std::ranges::count_if(peer.controls(), [](const auto& one) { return one.starts_with("ping "); }));
  }

  channel server;
  std::vector<std::string> heard;
  error down;
};

TEST_F(ws_life, is_over_when_the_peer_says_nothing_behind_our_close) {
  options with;
  with.ping_interval = with.ping_timeout = milliseconds(20);
  with.ping_misses = 2;
  listen(with);
  websocket_by_hand peer(port(), "/chat");
  meet(peer);
  server.half_close();
  ASSERT_TRUE(turn([&] { return peer.turn() && down.reason() != errc{}; }, "the end"));
  EXPECT_EQ(down, errc::timeout);
  EXPECT_THAT(down.text(), HasSubstr("nothing behind our Close"));
  EXPECT_EQ(peer.close_code(), 1000);
}

TEST_F(ws_life, goes_on_behind_our_close_as_long_as_the_peer_says_something) {
  options with;
  with.ping_interval = with.ping_timeout = milliseconds(50);
  with.ping_misses = 20;
  listen(with);
  websocket_by_hand peer(port(), "/chat");
  meet(peer);
  server.half_close();
  ASSERT_TRUE(turn([&] { return peer.turn() && server.stats().pings_missed >= 1; }, "a silence"));
  peer.send(k_fin | k_text, "still here");
  ASSERT_TRUE(turn([&] { return peer.turn() && !heard.empty() && server.stats().pings_missed == 0; }, "the message"));
  EXPECT_NE(server.state(), channel_state::closed);
  peer.send(k_close, close_payload(1000));
  ASSERT_TRUE(turn([&] { return peer.turn() && down.reason() != errc{}; }, "the end"));
  EXPECT_TRUE(down == errc::closed || down == errc::end_of_stream) << down.text();
}

TEST_F(ws_life, shows_how_many_pings_were_missed_until_the_peer_says_anything) {
  options with;
  with.ping_interval = with.ping_timeout = milliseconds(20);
  with.ping_misses = 1000;
  listen(with);
  websocket_by_hand peer(port(), "/chat");
  meet(peer);
  EXPECT_EQ(server.stats().pings_missed, 0u);
  ASSERT_TRUE(turn([&] { return peer.turn() && server.stats().pings_missed == 3; }, "three misses"));
  EXPECT_GE(pings(peer), 3u);
  EXPECT_FALSE(server.stats().round_trip);
  peer.send(k_fin | k_text, "no answer, but a sign");
  ASSERT_TRUE(turn([&] { return peer.turn() && server.stats().pings_missed == 0; }, "the sign"));
}

TEST_F(ws_life, is_asked_for_by_who_was_told_nothing_or_told_nothing_for_too_long) {
  for (options::duration options::*idle : {&options::read_idle_timeout, &options::write_idle_timeout}) {
    down = {};
    options with;
    with.*idle = milliseconds(10);
    with.ping_interval = milliseconds(0);
    with.ping_timeout = std::chrono::seconds(10);
    with.ping_misses = 1;
    with.idle_policy = idle_policy_kind::ping;
    listen(with);
    options quiet;
    quiet.ping_interval = milliseconds(0);
    channel answers = channel::open(where, listening.url(), quiet).value();
    ASSERT_TRUE(turn([&] { return server && server.stats().round_trip; }, "a pong"));
    EXPECT_EQ(server.state(), channel_state::up);
    answers.cut();
    ASSERT_TRUE(turn([&] { return down.reason() != errc{}; }, "its end"));
    listening.close();
    with.ping_timeout = milliseconds(20);
    listen(with);
    websocket_by_hand peer(port(), "/chat");
    meet(peer);
    ASSERT_TRUE(turn([&] { return peer.turn() && down.reason() != errc{}; }, "the end of who does not answer"));
    EXPECT_EQ(down, errc::timeout) << down.text();
    EXPECT_THAT(down.text(), HasSubstr("1 WebSocket pings"));
    EXPECT_THAT(peer.controls(), Contains(HasSubstr("ping ")));
    listening.close();
    server = {};
  }
}

}  // namespace
}  // namespace ferry::test
