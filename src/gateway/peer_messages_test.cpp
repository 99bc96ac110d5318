// Over transports of messages: a packet is a message, and so are the two parts of a login. The gateway is played by a
// listener of channels.
#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "codec/gateway_login.hpp"
#include "codec/gateway_packet.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using codec::gateway::command;
using test::run_until;

std::string packet(const command& what) {
  const auto made = encode(what);
  return std::string(as_text(made.view().subspan(codec::gateway::k_length_bytes)));
}
const std::string k_connection_1("\1\0\0\0", 4);

class peer_over_messages : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string at = GetParam();
    if (at == "shm") at = "shm://gateway?runtime_dir=" + dir.path().string();
    auto made = listener::open(where, at == "ws" ? "ws://127.0.0.1:0/" : at);
    ASSERT_TRUE(made) << made.error().text();
    door = std::move(*made);
    door.on_channel([this](channel one) { gateway = std::move(one); });
  }
  [[nodiscard]] std::string url() const { return door.url(); }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  std::string next() {
    std::optional<message> came;
    EXPECT_TRUE(turn(
        [&] {
          auto one = gateway.try_receive();
          if (one) came = std::move(*one);
          return came || one.error() != errc::would_block;
        },
        "a message"));
    return came ? std::string(came->text()) : "nothing";
  }
  void say(std::string_view data) { ASSERT_TRUE(gateway.try_send(as_bytes(data))); }

  test::temp_dir dir;
  boost::asio::io_context io{1};
  context where{io};
  listener door;
  channel gateway;
};

TEST_P(peer_over_messages, client_says_a_packet_in_a_message) {
  auto asking = gateway_client::open(where, url());
  ASSERT_TRUE(asking) << asking.error().text();
  channel here;
  asking->async_dial(7, [&](error_code, channel one) { here = std::move(one); });
  ASSERT_TRUE(turn([&] { return static_cast<bool>(gateway); }, "the client"));
  EXPECT_EQ(next(), packet(command::dial(7)));
  say(packet(command::accept(1, 7)));
  ASSERT_TRUE(turn([&] { return static_cast<bool>(here); }, "the accept"));
  ASSERT_TRUE(here.try_send("a question"));
  EXPECT_EQ(next(), k_connection_1 + "a question");
  say(k_connection_1 + "an answer");
  std::optional<message> answer;
  here.async_receive([&](error_code, message m) { answer = std::move(m); });
  ASSERT_TRUE(turn([&] { return answer.has_value(); }, "the answer"));
  EXPECT_EQ(answer->text(), "an answer");
  here.half_close();
  EXPECT_EQ(next(), packet(command::close(1)));
}

TEST_P(peer_over_messages, server_logs_in_with_a_message) {
  auto serving = gateway_server::open(where, url(), 7, "sekrit");
  ASSERT_TRUE(serving);
  ASSERT_TRUE(turn([&] { return static_cast<bool>(gateway); }, "the server"));
  const codec::gateway::challenge asked{std::byte{1}, std::byte{2}};
  say(as_text(asked));
  const auto login = codec::gateway::encode({codec::gateway::prove(asked, "sekrit"), 7});
  EXPECT_EQ(next(), as_text(login));
  EXPECT_EQ(next(), packet(command::ping()));
  EXPECT_EQ(serving->state(), channel_state::connecting) << "nothing says yet that it was right";
  say(packet(command::ping()));
  EXPECT_TRUE(turn([&] { return serving->state() == channel_state::up; }, "the answer"));
}

TEST_P(peer_over_messages, server_logs_in_by_hmac_and_says_nothing_before_the_gateway_has_proved_the_key) {
  gateway_options with;
  with.login = gateway_login::hmac;
  with.dial_timeout = {};
  auto serving = gateway_server::open(where, url(), 7, "sekrit", with);
  ASSERT_TRUE(serving);
  serving->async_dial(1, [](error_code, channel) {});
  ASSERT_TRUE(turn([&] { return static_cast<bool>(gateway); }, "the server"));
  const codec::gateway::challenge asked{std::byte{1}, std::byte{2}};
  say(as_text(asked));
  const auto said = next();
  ASSERT_EQ(said.size(), codec::gateway::k_hmac_login_bytes);
  const auto login = codec::gateway::decode_hmac_login(as_bytes(said));
  EXPECT_EQ(login.proven, codec::gateway::prove_hmac("server", asked, login, "sekrit"));
  test::run_ready(io);
  EXPECT_EQ(gateway.messages_waiting(), 0u);
  const auto proof = codec::gateway::encode_welcome(codec::gateway::prove_hmac("gateway", asked, login, "sekrit"));
  say(as_text(bytes(proof).subspan(codec::gateway::k_length_bytes)));
  EXPECT_EQ(next(), packet(command::ping()));
  say(packet(command::ping()));
  EXPECT_EQ(next(), packet(command::dial(1)));
  EXPECT_EQ(serving->state(), channel_state::up);
}

TEST_P(peer_over_messages, server_leaves_a_gateway_that_does_not_know_the_key) {
  gateway_options with;
  with.login = gateway_login::hmac;
  auto serving = gateway_server::open(where, url(), 7, "sekrit", with);
  ASSERT_TRUE(serving);
  ASSERT_TRUE(turn([&] { return static_cast<bool>(gateway); }, "the server"));
  const codec::gateway::challenge asked{std::byte{1}, std::byte{2}};
  say(as_text(asked));
  const auto said = next();
  const auto login = codec::gateway::decode_hmac_login(as_bytes(said));
  const auto proof = codec::gateway::encode_welcome(codec::gateway::prove_hmac("gateway", asked, login, "another"));
  say(as_text(bytes(proof).subspan(codec::gateway::k_length_bytes)));
  ASSERT_TRUE(turn([&] { return serving->state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(serving->last_error(), errc::auth) << serving->last_error().text();
  EXPECT_EQ(gateway.messages_waiting(), 0u);
}

TEST_P(peer_over_messages, server_gives_up_where_no_challenge_of_8_bytes_comes) {
  auto serving = gateway_server::open(where, url(), 7, "sekrit");
  ASSERT_TRUE(serving);
  ASSERT_TRUE(turn([&] { return static_cast<bool>(gateway); }, "the server"));
  say("123456789");
  EXPECT_TRUE(turn([&] { return serving->state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(serving->last_error(), errc::protocol);
}

INSTANTIATE_TEST_SUITE_P(transports, peer_over_messages, ::testing::Values("ws", "shm"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry
