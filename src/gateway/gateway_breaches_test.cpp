// Members that do not keep to the protocol, or only begin to: each harms itself alone.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "gateway/gateway.hpp"
#include "testing/gateway_by_hand.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using test::packet;
using test::run_until;
using test::wire;
using peer = test::gateway_peer;

// Alike, on however many threads it runs.
class gateway_breaches : public test::gateway_service_on_threads {};
INSTANTIATE_TEST_SUITE_P(on_threads, gateway_breaches, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

// What nobody may send. @param foreign  a virtual connection of others
std::vector<std::string> breaches(std::uint32_t foreign) {
  std::vector<std::string> made{
      std::string("\1\0\x08\0", 4),        // above MaxPacket
      std::string("\xff\xff\xff\xff", 4),  // giant
      packet(0, ""),                       // no type
      packet(0, "\x06"),                   // unknown
      packet(0, "\xff"),
      wire(command::accept(1, 1)),
      wire(command::connect(1, 1)),
      wire(command::refuse(1)),
      wire(command::close(foreign)),
      packet(foreign, "mine"),
  };
  for (const char length : {'\0', '\1', '\2', '\3'}) made.push_back(std::string(1, length) + std::string(3, '\0'));
  for (const auto& whole : {command::dial(7), command::close(foreign)})
    for (std::size_t size = 1; size < 5; ++size) made.push_back(packet(0, wire(whole).substr(8, size)));
  return made;
}

TEST_P(gateway_breaches, of_a_client_close_it_and_nobody_else) {
  open();
  peer& s = server(7);
  peer& good = client();
  const auto number = dial(good, s, 7);
  const auto wrong = breaches(number);
  for (const auto& one : wrong) {
    peer& bad = client();
    const auto own = dial(bad, s, 7);
    bad.send(one);
    EXPECT_TRUE(bad.is_closed());
    EXPECT_EQ(s.next_command(), command::close(own));
    EXPECT_TRUE(good.is_well());
  }
  EXPECT_EQ(it->stats().breaches, wrong.size());
  good.send(packet(number, "still"));
  EXPECT_EQ(s.next(), packet(number, "still"));
}

TEST_P(gateway_breaches, of_a_server_close_it_and_its_virtual_connections_and_nobody_else) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  const auto wrong = breaches(number);
  for (const auto& one : wrong) {
    peer& bad = server(8);
    const auto own = dial(c, bad, 8);
    bad.send(one);
    EXPECT_TRUE(bad.is_closed());
    EXPECT_EQ(c.next_command(), command::close(own));
    EXPECT_TRUE(s.is_well());
  }
  EXPECT_EQ(it->stats().breaches, wrong.size());
  s.send(packet(number, "still"));
  EXPECT_EQ(c.next(), packet(number, "still"));
}

TEST_P(gateway_breaches, begun_packets_take_memory_for_what_came_and_not_for_what_they_promise) {
  constexpr std::size_t k_clients = 200, k_said = 3000;
  open();
  peer& good = client();
  const auto large = packet(1, std::string(500'000, 'x'));
  for (std::size_t i = 0; i < k_clients; ++i) client().send(std::string_view(large).substr(0, k_said));
  ASSERT_TRUE(run_until(
      io, [&] { return it->buffers().stats().bytes_lent >= k_clients * k_said; }, "what they have said"));
  EXPECT_TRUE(good.is_well());
  EXPECT_LE(it->buffers().stats().bytes_lent, k_clients * 16 * 1024);
}

TEST_P(gateway_breaches, client_that_never_ends_its_packet_is_silent) {
  settings with;
  with.clients.idle_timeout = std::chrono::milliseconds(300);
  open(with);
  peer& s = server(7);
  peer& slow = client();
  const auto number = dial(slow, s, 7);
  const auto whole = packet(number, std::string(500'000, 'x'));
  std::size_t said = 0;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        if (said + 1 < whole.size() && slow.socket().try_send(std::string_view(whole).substr(said, 1)) == 1) ++said;
        return slow.socket().ended();
      },
      "its end"));
  EXPECT_EQ(s.next_command(), command::close(number));
  EXPECT_EQ(it->stats().idle, 1u);
}

TEST_P(gateway_breaches, what_a_client_said_before_it_left_comes_first_and_half_a_packet_never) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  c.send(packet(number, "last") + packet(number, "half").substr(0, 10));
  c.socket().close();
  EXPECT_EQ(s.next(), packet(number, "last"));
  EXPECT_EQ(s.next_command(), command::close(number));
  EXPECT_TRUE(s.is_well());
}

}  // namespace
}  // namespace ferry::gateway
