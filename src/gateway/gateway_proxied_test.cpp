// A gateway behind a balancer that says with PROXY, version 2, whose each connection is: limits and addresses are those
// of the clients and servers, and not the balancer's.
#include <gtest/gtest.h>

#include <string>

#include "codec/proxy_header.hpp"
#include "gateway/gateway.hpp"
#include "testing/gateway_by_hand.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using session::gateway_role;
using test::port_of;
using test::run_until;
using test::wire;
using peer = test::gateway_peer;

// What the balancer says first. @param host  empty: it speaks for itself
std::string behind(const std::string& host, std::uint16_t port = 4711) {
  codec::proxy_header header;
  if (!host.empty()) {
    const bool six = host.find(':') != std::string::npos;
    header.family = six ? codec::proxied_family::inet6 : codec::proxied_family::inet;
    header.source = {host, port};
    header.destination = {six ? "2001:db8::2" : "192.0.2.2", 80};
  }
  return std::string(as_text(codec::encode_proxy_v2(header).value()));
}

// Alike, on however many threads the gateway runs.
class gateway_proxied : public test::gateway_service_on_threads {
 protected:
  void open(settings with = {}) {
    with.clients.options = with.servers.options = "proxy_protocol=accept";
    with.clients.url = "tcp://127.0.0.1:0 ws://127.0.0.1:0/";
    test::gateway_service_on_threads::open(with);
  }
  peer& from(const std::string& host, std::uint16_t port = 4711) {
    peer& made = peers.emplace_back(io, port_of(it->client_url()));
    made.send(behind(host, port));
    return made;
  }
  peer& server_from(const std::string& host, std::uint32_t id, const char* key) {
    peer& made = knocking();
    made.send(behind(host));
    if (run_until(
            io, [&] { return made.socket().received().size() >= 8 || made.socket().ended(); }, "the challenge") &&
        !made.socket().ended())
      login(made, id, key);
    return made;
  }
  // A browser that has sent its request, and a ping behind it.
  peer& browser_from(const std::string& host) {
    const auto url = it->urls(gateway_role::client).at(1);
    peer& made = peers.emplace_back(io, port_of(url.substr(0, url.rfind('/'))));
    made.send(behind(host) +
              "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
              test::websocket_frame(0x82, wire(command::ping()).substr(4), test::plays::client));
    return made;
  }
  [[nodiscard]] ::testing::AssertionResult is_answered(peer& browser) {
    const auto pong = test::websocket_frame(0x82, wire(command::ping()).substr(4), test::plays::server);
    return run_until(
        io, [&] { return browser.socket().received().ends_with("\r\n\r\n" + pong); }, "the answers to a browser");
  }
  void expect_clients(std::size_t count) {
    EXPECT_TRUE(run_until(
        io, [&] { return it->stats().clients == count; }, "the end of a client"));
  }
};

INSTANTIATE_TEST_SUITE_P(on_threads, gateway_proxied, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

TEST_P(gateway_proxied, counts_connections_of_each_client_whatever_carries_them) {
  settings with;
  with.clients.per_address.max_connections = 2;
  open(with);
  peer& first = from("192.0.2.1", 1);
  EXPECT_TRUE(first.is_well());
  EXPECT_TRUE(is_answered(browser_from("192.0.2.1")));
  EXPECT_TRUE(from("192.0.2.1", 2).is_closed());
  EXPECT_TRUE(browser_from("192.0.2.1").is_closed());
  EXPECT_EQ(it->stats().turned_away, 2u);
  for (int i = 10; i < 30; ++i) EXPECT_TRUE(from("192.0.2." + std::to_string(i)).is_well()) << "of the same balancer";
  EXPECT_TRUE(from("2001:db8:0:1::1").is_well());
  EXPECT_TRUE(from("2001:db8:0:1:ffff::").is_well());
  EXPECT_TRUE(from("2001:db8:0:1::2").is_closed()) << "whoever has one address of 64 bits has them all";
  EXPECT_TRUE(from("2001:db8:0:2::1").is_well());
  first.socket().close();
  expect_clients(1 + 20 + 3);
  EXPECT_TRUE(from("192.0.2.1", 3).is_well());
}

TEST_P(gateway_proxied, counts_the_balancer_where_it_speaks_for_itself) {
  settings with;
  with.clients.per_address.max_connections = 1;
  open(with);
  EXPECT_TRUE(from("").is_well());
  EXPECT_TRUE(from("").is_closed());
  EXPECT_TRUE(from("127.0.0.1").is_closed()) << "which is its address";
  EXPECT_TRUE(from("192.0.2.1").is_well());
}

TEST_P(gateway_proxied, limits_how_fast_each_client_comes) {
  settings with;
  with.clients.per_address.per_second = 3;
  open(with);
  const auto began = std::chrono::steady_clock::now();
  int came = 0;
  for (bool more = true; more;) {
    peer& one = from("192.0.2.1");
    one.say(command::ping());
    ASSERT_TRUE(run_until(
        io, [&] { return one.socket().ended() || !one.socket().received().empty(); }, "the one or the other"));
    more = !one.socket().received().empty();
    came += more ? 1 : 0;
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  EXPECT_GE(came, 3) << "so many may come at once";
  EXPECT_LE(came, 3 + 3 * passed.count());
  for (int i = 10; i < 20; ++i) EXPECT_TRUE(from("192.0.2." + std::to_string(i)).is_well()) << "of the same balancer";
}

TEST_P(gateway_proxied, shuts_out_the_server_that_failed_too_often_and_not_its_balancer) {
  settings with;
  with.servers.per_address.max_failures = 2;
  open(with);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(server_from("192.0.2.1", 7, "wrong").is_closed());
  EXPECT_TRUE(run_until(
      io, [&] { return it->stats().wrong_proofs == 2; }, "the proofs"));
  peer& shut_out = server_from("192.0.2.1", 7, test::k_gateway_key);
  EXPECT_TRUE(shut_out.is_closed());
  EXPECT_EQ(shut_out.socket().received(), "") << "no challenge either";
  EXPECT_TRUE(server_from("192.0.2.3", 7, test::k_gateway_key).is_well());
}

TEST_P(gateway_proxied, tells_a_server_which_client_dials) {
  settings with;
  with.connect_address = true;
  open(with);
  peer& there = server_from("192.0.2.9", 7, test::k_gateway_key);
  EXPECT_TRUE(there.is_well());
  std::uint32_t number = 0;
  for (const std::string host : {"192.0.2.1", "2001:db8::1"}) {
    peer& one = from(host, 4711);
    one.say(command::dial(7));
    EXPECT_EQ(one.next_command(), command::accept(++number, 7));
    const auto told = there.next();
    const auto connect = wire(command::connect(number, number)).substr(4);
    ASSERT_GT(told.size(), 4 + connect.size());
    EXPECT_EQ(told.substr(4, connect.size()), connect);
    EXPECT_EQ(told.substr(4 + connect.size()), (number == 1 ? host : "[" + host + "]") + ":4711");
  }
}

TEST_P(gateway_proxied, lets_nobody_in_whom_no_balancer_names) {
  open();
  peer& bare = peers.emplace_back(io, port_of(it->client_url()));
  bare.say(command::ping());
  EXPECT_TRUE(bare.is_closed());
  auto forged = behind("192.0.2.1");
  forged.back() = static_cast<char>(forged.back() ^ 1);  // its checksum
  peer& wrong = peers.emplace_back(io, port_of(it->client_url()));
  wrong.send(forged);
  EXPECT_TRUE(wrong.is_closed());
  EXPECT_TRUE(from("192.0.2.1").is_well());
  EXPECT_EQ(it->stats().clients_accepted, 1u);
}

}  // namespace
}  // namespace ferry::gateway
