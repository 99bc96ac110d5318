// What proxy_protocol=accept promises: the client's address instead of the balancer's, and nobody without a header.
#include <ferry/url.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec/proxy_header.hpp"
#include "testing/listening_world.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tls_authority.hpp"
#include "testing/tls_by_hand.hpp"

namespace ferry::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view k_line = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
constexpr std::string_view k_hello{"\x05hello", 6};  // a message as the varint framing writes it

class proxy_channel : public listening_world {
 protected:
  void listen(options with = {}, const std::string& scheme = "tcp") {
    with.proxy_protocol = proxy_protocol_kind::accept;
    listen_at(scheme + "://127.0.0.1:0", with);
  }
  void welcome(channel arrived) override {
    arrivals.push_back(arrived);
    arrived.on_message([arrived](const message_view& m) mutable { (void)arrived.try_send(m.payload); });
  }
  [[nodiscard]] ::testing::AssertionResult echoes(raw_tcp& client, std::string_view message = k_hello) {
    return turn([&] { return client.received() == message; }, "the echo");
  }
  [[nodiscard]] ::testing::AssertionResult refuses_one() {
    return turn([&] { return refusals.size() == 1; }, "a refusal");
  }
};

TEST_F(proxy_channel, has_the_clients_address_and_the_balancers) {
  listen();
  raw_tcp balancer(port());
  balancer.send(std::string(k_line) + std::string(k_hello));
  ASSERT_TRUE(echoes(balancer)) << "what came in one piece with the header is not lost";
  const auto who = arrivals.at(0).peer();
  EXPECT_EQ(who.address, "192.0.2.7:4711");
  EXPECT_THAT(who.through, StartsWith("127.0.0.1:"));
  EXPECT_EQ(who.text(), "192.0.2.7:4711 (through " + who.through + ")");
}

TEST_F(proxy_channel, takes_a_header_of_version_2_too) {
  listen();
  raw_tcp balancer(port());
  const auto header = codec::encode_proxy_v2({codec::proxied_family::inet6, {"2001:db8::1", 9}, {"::1", 80}}).value();
  balancer.send(std::string(as_text(header)) + std::string(k_hello));
  ASSERT_TRUE(echoes(balancer));
  EXPECT_EQ(arrivals.at(0).peer().address, "[2001:db8::1]:9");
}

TEST_F(proxy_channel, has_the_balancers_own_address_where_it_speaks_for_itself) {
  listen();
  raw_tcp balancer(port());
  balancer.send(std::string(as_text(codec::encode_proxy_v2({}).value())) + std::string(k_hello));
  ASSERT_TRUE(echoes(balancer));
  EXPECT_THAT(arrivals.at(0).peer().address, StartsWith("127.0.0.1:"));
  EXPECT_EQ(arrivals.at(0).peer().through, "");
}

TEST_F(proxy_channel, takes_a_header_that_comes_byte_by_byte) {
  listen();
  raw_tcp balancer(port());
  for (const char byte : std::string(k_line) + std::string(k_hello)) {
    balancer.send({&byte, 1});
    run_ready(io);
  }
  ASSERT_TRUE(echoes(balancer));
  EXPECT_EQ(arrivals.at(0).peer().address, "192.0.2.7:4711");
}

TEST_F(proxy_channel, refuses_who_comes_without_a_header_and_says_why) {
  listen();
  raw_tcp client(port());
  client.send(k_hello);
  ASSERT_TRUE(refuses_one());
  EXPECT_EQ(refusals[0], errc::protocol);
  EXPECT_THAT(refusals[0].text(), HasSubstr("connection from 127.0.0.1:"));
  EXPECT_THAT(refusals[0].text(), HasSubstr("proxy_protocol=accept"));
  EXPECT_TRUE(turn([&] { return client.ended(); }, "the end"));
  EXPECT_TRUE(arrivals.empty());
}

TEST_F(proxy_channel, refuses_a_header_that_is_cut_off_or_damaged) {
  listen();
  {
    raw_tcp balancer(port());
    balancer.send(k_line.substr(0, 20));
  }
  ASSERT_TRUE(refuses_one());
  EXPECT_EQ(refusals[0], errc::truncated);
  raw_tcp balancer(port());
  auto damaged = codec::encode_proxy_v2({codec::proxied_family::inet, {"10.0.0.1", 9}, {"10.0.0.2", 80}}).value();
  damaged[16] ^= std::byte{1};
  balancer.send(as_text(damaged));
  ASSERT_TRUE(turn([&] { return refusals.size() == 2; }, "another refusal"));
  EXPECT_EQ(refusals[1], errc::corrupt);
}

TEST_F(proxy_channel, does_not_wait_longer_than_connect_timeout_while_others_come_in) {
  options with;
  with.connect_timeout = std::chrono::milliseconds(50);
  listen(with);
  raw_tcp slow(port());
  slow.send(k_line.substr(0, 10));
  raw_tcp other(port());
  other.send(std::string(k_line) + std::string(k_hello));
  ASSERT_TRUE(echoes(other));
  ASSERT_TRUE(refuses_one());
  EXPECT_EQ(refusals[0], errc::timeout);
  EXPECT_THAT(refusals[0].text(), HasSubstr("PROXY header not over within 50ms (connect_timeout)"));
  EXPECT_TRUE(turn([&] { return slow.ended(); }, "the end"));
}

TEST_F(proxy_channel, takes_headers_only_from_the_balancers_that_are_named) {
  options with;
  with.proxy_from = "10.0.0.0/8";
  listen(with);
  raw_tcp stranger(port());
  stranger.send(k_line);
  ASSERT_TRUE(refuses_one());
  EXPECT_EQ(refusals[0], errc::auth);
  EXPECT_THAT(refusals[0].text(), HasSubstr("proxy_from"));
  listening = {};
  with.proxy_from = "127.0.0.0/8, ::1";
  listen(with);
  raw_tcp known(port());
  known.send(std::string(k_line) + std::string(k_hello));
  EXPECT_TRUE(echoes(known));
}

TEST_F(proxy_channel, takes_the_header_in_front_of_tls) {
  tls_authority authority;
  authority.issue(dir.file("host.pem"), {});
  options with;
  with.tls_certificate = dir.file("host.pem");
  listen(with, "tls");
  raw_tls balancer(port());
  ASSERT_EQ(::send(SSL_get_fd(balancer.ssl()), k_line.data(), k_line.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(k_line.size()));
  ASSERT_TRUE(turn([&] { return balancer.shaken(); }, "the handshake"));
  ASSERT_TRUE(balancer.send(k_hello));
  ASSERT_TRUE(turn([&] { return balancer.received() == k_hello; }, "the echo"));
  const auto who = arrivals.at(0).peer();
  EXPECT_EQ(who.address, "192.0.2.7:4711");
  EXPECT_THAT(who.through, StartsWith("127.0.0.1:"));
  EXPECT_TRUE(who.tls);
}

TEST_F(proxy_channel, names_the_client_when_its_tls_handshake_fails) {
  tls_authority authority;
  authority.issue(dir.file("host.pem"), {});
  options with;
  with.tls_certificate = dir.file("host.pem");
  listen(with, "tls");
  raw_tcp balancer(port());
  balancer.send(std::string(k_line) + "this is no TLS");
  ASSERT_TRUE(refuses_one());
  EXPECT_THAT(refusals[0].text(), HasSubstr("connection from 192.0.2.7:4711 (through 127.0.0.1:"));
}

TEST_F(proxy_channel, may_be_closed_at_every_turn_of_a_header) {
  for (int turns = 0; turns < 12; ++turns) {
    listen();
    raw_tcp balancer(port());
    balancer.send(k_line.substr(0, turns % 2 == 0 ? k_line.size() : 9));
    if (io.stopped()) io.restart();
    for (int i = 0; i < turns; ++i) io.poll_one();
    listening.close();
    listening = {};
    for (auto& one : arrivals) one.cut();
    arrivals.clear();
    run_ready(io);
    EXPECT_TRUE(turn([&] { return balancer.ended(); }, "the end")) << turns;
  }
}

TEST(proxy_options, are_checked_by_their_form) {
  options with;
  EXPECT_FALSE(set_option(with, "proxy_protocol", "accept"));
  EXPECT_TRUE(set_option(with, "proxy_protocol", "send"));
  EXPECT_FALSE(set_option(with, "proxy_from", "10.0.0.0/8, ::1"));
  const auto problem = set_option(with, "proxy_from", "10.0.0.0/40");
  ASSERT_TRUE(problem);
  EXPECT_THAT(problem->text, HasSubstr("addresses or networks"));
  EXPECT_EQ(with.proxy_from, "10.0.0.0/8, ::1");
}

}  // namespace
}  // namespace ferry::test
