// A WebSocket that waits for its peer's end after its own holds a place among the listener's connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/transports.hpp"
#include "net/ws_stream.hpp"
#include "testing/faulty_stream.hpp"
#include "testing/listening_world.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;

class ws_places : public listening_world {
 protected:
  static options two_places() {
    options with;
    with.max_connections = 2;
    with.close_timeout = std::chrono::hours(1);
    return with;
  }
  /// A peer by hand whose channel has arrived.
  [[nodiscard]] std::unique_ptr<raw_tcp> guest() {
    const std::size_t before = arrivals.size();
    auto made = std::make_unique<raw_tcp>(port());
    EXPECT_TRUE(turn([&] { return arrivals.size() > before; }, "a channel"));
    return made;
  }
  /// The peer breaks the rules, hears so, and does nothing more.
  void breach(raw_tcp& peer) {
    const auto open = where.totals().channels_open.value();
    peer.send(websocket_frame(0xc2, "a reserved bit", plays::client));
    ASSERT_TRUE(turn([&] { return !peer.received().empty() && where.totals().channels_open.value() == open - 1; },
                     "our Close"));
  }
};

TEST_F(ws_places, are_held_by_closes_that_the_peer_does_not_finish) {
  listen_at("ws+raw://127.0.0.1:0", two_places());
  std::vector<std::unique_ptr<raw_tcp>> silent;
  for (int i = 0; i < 2; ++i) silent.push_back(guest());
  for (const auto& one : silent) breach(*one);
  EXPECT_EQ(where.totals().channels_open.value(), 0) << "the channels are gone";
  EXPECT_EQ(listening.stats().open, 2u);
  raw_tcp third(port());
  ASSERT_TRUE(turn([&] { return !refusals.empty() && third.ended(); }, "a refusal"));
  EXPECT_EQ(refusals[0], errc::busy);
  EXPECT_THAT(refusals[0].text(), HasSubstr("2 are open, max_connections is 2"));
  silent[0]->close();
  ASSERT_TRUE(turn([&] { return listening.stats().open == 1; }, "the first place"));
  EXPECT_TRUE(guest());
}

TEST_F(ws_places, are_free_when_the_close_timeout_is_over) {
  options with = two_places();
  with.close_timeout = std::chrono::milliseconds(20);
  listen_at("ws+raw://127.0.0.1:0", with);
  const auto silent = guest();
  breach(*silent);
  ASSERT_TRUE(turn([&] { return listening.stats().open == 0; }, "the deadline"));
  EXPECT_TRUE(silent->ended());
}

TEST_F(ws_places, are_limited_for_those_who_are_refused_too) {
  const auto below = std::make_shared<faulty_transport>(std::make_shared<fault_plan>());
  where.register_transport("faultyws", net::make_ws_transport(below, net::ws_start::upgrade));
  listen_at("faultyws://meeting", two_places());
  const bytes request = as_bytes("GET / HTTP/1.1\r\nHost: meeting\r\n\r\n");  // no WebSocket
  std::vector<std::unique_ptr<connect_attempt>> attempts;
  std::vector<std::shared_ptr<stream>> met;
  const auto ask = [&](result<std::shared_ptr<stream>> made) {
    met.push_back(*made);
    (void)met.back()->try_write({&request, 1});
  };
  const endpoint to{"faulty", "meeting", 0, "", {}};
  for (std::size_t i = 0; i <= net::k_most_leaving; ++i) attempts.push_back(below->connect(where, to, {}, ask));
  ASSERT_TRUE(turn([&] { return refusals.size() == net::k_most_leaving + 1; }, "the refusals"));
  EXPECT_TRUE(met.front()->try_write({&request, 1})) << "its end is waited for";
  EXPECT_TRUE(met[net::k_most_leaving - 1]->try_write({&request, 1}));
  EXPECT_EQ(met.back()->try_write({&request, 1}).error(), errc::reset) << "it is cut at once";
  met.front()->close();
  run_ready(io);
  attempts.push_back(below->connect(where, to, {}, ask));
  ASSERT_TRUE(turn([&] { return refusals.size() == net::k_most_leaving + 2; }, "one more refusal"));
  EXPECT_TRUE(met.back()->try_write({&request, 1})) << "there is a place again";
  for (const auto& each : met) each->close();
}

}  // namespace
}  // namespace ferry::test
