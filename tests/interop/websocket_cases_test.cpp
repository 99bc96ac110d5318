// The table of testing/websocket_conversations.hpp over real sockets: a peer by hand plays each conversation to a
// listener that echoes, as a client, and to a channel that echoes, as a server. Every message must come back, every
// ping be answered, every fault end with its close code, and the connection be ended by whoever has to.
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "testing/watchdog.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

/// What an echoing peer has to say to it.
struct expectation {
  std::vector<std::string> messages;
  std::vector<std::string> controls;
  int code = 0;  ///< of the Close
};

expectation answer_to(const conversation& c) {
  expectation made;
  for (const auto& line : c.heard) {
    if (line.starts_with("ping "))
      made.controls.push_back("pong " + line.substr(5));
    else if (line.starts_with("close ") || line.starts_with("fault "))
      made.code = std::stoi(line.substr(6));
    else if (!line.starts_with("pong "))
      made.messages.push_back(line);
  }
  return made;
}

class websocket_over_sockets : public ::testing::TestWithParam<plays> {
 protected:
  websocket_over_sockets() {
    limits.max_message = 1 << 20;
    if (GetParam() == plays::server) return;
    listening = listener::open(where, "ws://127.0.0.1:0/cases", limits).value();
    listening.on_channel([this](channel arrived) { echo(arrived); });
  }

  void echo(const channel& from) {
    held = from;
    held.on_message([this](const message_view& m) { EXPECT_TRUE(held.try_send(m.payload, m.kind)); });
    held.on_down([this](const down_info& info) { down = info.reason; });
  }
  [[nodiscard]] std::uint16_t listening_port() const {
    const std::string url = listening.url();
    const auto colon = url.find(':', 5) + 1;
    return static_cast<std::uint16_t>(std::stoi(url.substr(colon)));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }

  /// A peer by hand whose upgrade is over.
  [[nodiscard]] std::unique_ptr<websocket_by_hand> meet() {
    down.reset();
    std::unique_ptr<websocket_by_hand> peer;
    if (GetParam() == plays::client) {
      peer = std::make_unique<websocket_by_hand>(listening_port(), "/cases");
    } else {
      echo(channel::open(where, "ws://127.0.0.1:" + std::to_string(there.port()) + "/cases", limits).value());
    }
    EXPECT_TRUE(turn(
        [&] {
          if (!peer)
            if (auto fd = there.try_accept()) peer = std::make_unique<websocket_by_hand>(std::move(fd));
          return peer && peer->turn() && held && held.state() == channel_state::up;
        },
        "the upgrade"));
    return peer;
  }

  void play(const conversation& c) {
    const auto peer = meet();
    ASSERT_TRUE(peer);
    const expectation expected = answer_to(c);
    peer->send(c.frames);
    if (expected.code == 0) {
      const std::size_t all = expected.messages.size() + expected.controls.size();
      ASSERT_TRUE(
          turn([&] { return peer->turn(), peer->messages().size() + peer->controls().size() == all || peer->ended(); },
               "the answers"));
      peer->send(k_close, close_payload(1000));
    }
    ASSERT_TRUE(turn([&] { return peer->turn(), peer->close_code() != 0 || peer->ended(); }, "the Close"));
    if (expected.code != 0) peer->send(k_close, close_payload(expected.code));
    if (GetParam() == plays::server) peer->end_sending();  // a server ends first (RFC 6455, 7.1.1)
    ASSERT_TRUE(turn([&] { return peer->turn(), peer->ended() && down; }, "the end"));
    EXPECT_EQ(peer->messages(), expected.messages);
    EXPECT_EQ(peer->controls(), expected.controls);
    EXPECT_EQ(peer->close_code(), expected.code == 0 ? 1000 : expected.code);
    EXPECT_EQ(peer->complaint(), "");
    held = {};
  }
  void play(const std::vector<conversation>& all) {
    for (const auto& c : all) {
      SCOPED_TRACE(c.name);
      play(c);
      if (HasFatalFailure()) return;
    }
  }

  boost::asio::io_context io;
  context where{io};
  options limits;
  listener listening;
  raw_tcp_listener there;
  channel held;
  std::optional<error> down;
};

TEST_P(websocket_over_sockets, messages_of_every_form_of_length) { play(conversations::of_every_form_of_length()); }
TEST_P(websocket_over_sockets, pings_and_pongs) { play(conversations::pings_and_pongs()); }
TEST_P(websocket_over_sockets, reserved_bits) { play(conversations::reserved_bits()); }
TEST_P(websocket_over_sockets, reserved_opcodes) { play(conversations::reserved_opcodes()); }
TEST_P(websocket_over_sockets, fragmentation) { play(conversations::fragmentation()); }
TEST_P(websocket_over_sockets, text_is_utf8) { play(conversations::text_is_utf8()); }
TEST_P(websocket_over_sockets, closing) { play(conversations::closing()); }
TEST_P(websocket_over_sockets, large_messages_in_many_parts) { play(conversations::large_messages_in_many_parts()); }
TEST_P(websocket_over_sockets, many_small_messages) { play(conversations::many_small_messages()); }

TEST_P(websocket_over_sockets, one_byte_at_a_time) {
  for (const auto& c : conversations::fragmentation()) {
    SCOPED_TRACE(c.name);
    const auto peer = meet();
    ASSERT_TRUE(peer);
    std::string wire;
    for (const auto& f : c.frames) wire += websocket_frame(f.first, f.payload, GetParam());
    for (const char byte : wire) {
      peer->send(std::string_view(&byte, 1));
      ASSERT_TRUE(turn([&] { return peer->turn(), peer->all_sent(); }, "a byte to go"));
      run_ready(io);
    }
    const expectation expected = answer_to(c);
    if (expected.code == 0) peer->send(k_close, close_payload(1000));
    ASSERT_TRUE(turn([&] { return peer->turn(), peer->close_code() != 0 || peer->ended(); }, "the Close"));
    EXPECT_EQ(peer->messages(), expected.messages);
    EXPECT_EQ(peer->controls(), expected.controls);
    EXPECT_EQ(peer->close_code(), expected.code == 0 ? 1000 : expected.code);
  }
}

TEST_P(websocket_over_sockets, the_wrong_mask_for_the_direction) {
  const auto peer = meet();
  ASSERT_TRUE(peer);
  peer->send(websocket_frame(k_fin | k_text, "hello", GetParam() == plays::client ? plays::server : plays::client));
  ASSERT_TRUE(turn([&] { return peer->turn(), peer->close_code() != 0 || peer->ended(); }, "the Close"));
  EXPECT_EQ(peer->close_code(), 1002);
  EXPECT_TRUE(peer->messages().empty());
}

TEST_P(websocket_over_sockets, a_message_above_the_limit_is_answered_by_1009) {
  for (const auto& frames : {std::vector<sent_frame>{{k_fin | k_binary, repeated((1 << 20) + 1)}},
                             std::vector<sent_frame>{{k_binary, repeated(1 << 20)}, {k_fin, "x"}}}) {
    const auto peer = meet();
    ASSERT_TRUE(peer);
    peer->send(frames);
    ASSERT_TRUE(turn([&] { return peer->turn(), peer->close_code() != 0 || peer->ended(); }, "the Close"));
    EXPECT_EQ(peer->close_code(), 1009);
    ASSERT_TRUE(turn([&] { return down.has_value(); }, "the report"));
    EXPECT_EQ(*down, errc::message_too_large) << down->text();
  }
}

INSTANTIATE_TEST_SUITE_P(roles, websocket_over_sockets, ::testing::Values(plays::client, plays::server),
                         [](const auto& one) { return one.param == plays::client ? "to_a_listener" : "to_a_channel"; });

}  // namespace
}  // namespace ferry::test
