#pragma once
/// A gateway in a test, and the library's clients and servers at it.

#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "gateway/gateway.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

inline constexpr const char* k_peers_key = "sekrit";

/// What became of a dial, or of an accept.
struct dial_outcome {
  std::optional<error_code> code;
  channel got;
  auto keep() {
    return [this](error_code failed, channel one) {
      code = failed;
      got = std::move(one);
    };
  }
};

// Clients and servers of the library, and the gateway that they are at; all on one thread.
class gateway_peers : public ::testing::Test {
 protected:
  void open_gateway(gateway::settings with = {}) {
    if (with.clients.url == gateway::settings{}.clients.url) with.clients.url = "tcp://127.0.0.1:0";
    if (with.servers.url == gateway::settings{}.servers.url) with.servers.url = "tcp://127.0.0.1:0";
    with.server_key = k_peers_key;
    auto made = gateway::service::open(where, with);
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
  }
  gateway_client client(const gateway_options& with = {}) {
    auto made = gateway_client::open(where, it->client_url(), with);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }
  gateway_server server(std::uint32_t id, const gateway_options& with = {}) {
    auto made = gateway_server::open(where, it->server_url(), id, k_peers_key, with);
    EXPECT_TRUE(made) << made.error().text();
    std::optional<error_code> up;
    made->async_wait_up([&](error_code code) { up = code; });
    EXPECT_TRUE(turn([&] { return up.has_value(); }, "the login"));
    EXPECT_FALSE(*up) << made->last_error().text();
    return *made;
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  /// Both ends of a new virtual connection.
  std::pair<channel, channel> connected(ferry::gateway_peer& from, ferry::gateway_peer& to, std::uint32_t id) {
    dial_outcome there, here;
    to.async_accept(there.keep());
    from.async_dial(id, here.keep());
    EXPECT_TRUE(turn([&] { return there.code && here.code; }, "a virtual connection"));
    EXPECT_FALSE(*here.code) << here.code->message();
    EXPECT_FALSE(*there.code) << there.code->message();
    return {here.got, there.got};
  }
  std::string next(channel& from) {
    std::optional<message> came;
    EXPECT_TRUE(turn(
        [&] {
          auto one = from.try_receive();
          if (one) came = std::move(*one);
          return came || one.error() != errc::would_block;
        },
        "a message"));
    return came ? std::string(came->text()) : "nothing";
  }
  [[nodiscard]] error end_of(channel& one) {
    (void)turn([&] { return one.state() == channel_state::closed; }, "its end");
    return one.last_error();
  }

  boost::asio::io_context io{1};
  context where{io};
  std::optional<gateway::service> it;
};

}  // namespace ferry::test
