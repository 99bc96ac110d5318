// A gateway's members by what carries them, and how they come in.
#include <ferry/channel.hpp>

#include <gtest/gtest.h>

#include <string>

#include "gateway/gateway.hpp"
#include "testing/gateway_by_hand.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using test::packet;
using test::port_of;
using test::run_until;
using test::wire;
using peer = test::gateway_peer;

// A client or a server over a transport of messages.
class message_peer {
 public:
  message_peer(context& where, const std::string& url, const options& with = {}) : io_(where.io()) {
    auto made = channel::open(where, url, with);
    EXPECT_TRUE(made) << made.error().text();
    it = *made;
  }
  [[nodiscard]] std::string next() {
    std::string got;
    EXPECT_TRUE(run_until(
        io_,
        [&] {
          const auto came = it.try_receive();
          if (came) got = std::string(came->text());
          return came || came.error() != errc::would_block;
        },
        "a message"));
    return got;
  }
  void send(std::string_view what) { EXPECT_TRUE(it.try_send(as_bytes(what))); }
  void say(const command& what) { send(std::string_view(wire(what)).substr(4)); }
  [[nodiscard]] ::testing::AssertionResult is_closed() {
    return run_until(
        io_,
        [&] {
          const auto came = it.try_receive();
          return !came && came.error() != errc::would_block;
        },
        "the end of the channel");
  }
  channel it;

 private:
  boost::asio::io_context& io_;
};

std::string message(std::uint32_t connection, std::string_view text) { return packet(connection, text).substr(4); }
std::string said(const command& what) { return wire(what).substr(4); }

// Alike, on however many threads the gateway runs.
class gateway_doors : public test::gateway_service_on_threads {
 protected:
  codec::gateway::challenge challenge_of(peer& who) {
    EXPECT_TRUE(run_until(
        io, [&] { return who.socket().received().size() >= 8; }, "the challenge"));
    const auto text = who.socket().take(8);
    codec::gateway::challenge asked{};
    std::copy_n(as_bytes(text).begin(), asked.size(), asked.begin());
    return asked;
  }
  // @return what the gateway has to prove
  codec::sha256_digest login_with_hmac(peer& who, std::uint32_t id, std::string_view key) {
    codec::gateway::hmac_login login{id, {}, {}};
    login.random.fill(std::byte{7});
    const auto asked = challenge_of(who);
    login.proven = prove_hmac("server", asked, login, key);
    who.send(as_text(encode(login)));
    return prove_hmac("gateway", asked, login, key);
  }
};

INSTANTIATE_TEST_SUITE_P(on_threads, gateway_doors, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

TEST_P(gateway_doors, let_a_browser_reach_a_server_in_shared_memory) {
  const test::temp_dir place;
  settings with;
  with.clients.url = "tcp://127.0.0.1:0 ws://127.0.0.1:0/gateway";
  with.servers.url = "shm://gateway";
  with.servers.options = "runtime_dir=" + place.path().string();
  open(with);
  ASSERT_EQ(it->urls(session::gateway_role::client).size(), 2u);
  options here;
  here.runtime_dir = place.path().string();
  message_peer server(where, "shm://gateway", here);
  const auto asked = server.next();
  ASSERT_EQ(asked.size(), 8u);
  codec::gateway::challenge number{};
  std::copy_n(as_bytes(asked).begin(), 8, number.begin());
  server.send(as_text(codec::gateway::encode({codec::gateway::prove(number, test::k_gateway_key), 7})));
  server.say(command::ping());
  EXPECT_EQ(server.next(), said(command::ping()));
  message_peer browser(where, it->urls(session::gateway_role::client)[1]);
  browser.say(command::dial(7));
  EXPECT_EQ(browser.next(), said(command::accept(1, 7)));
  EXPECT_EQ(server.next(), said(command::connect(1, 1)));
  for (const std::size_t size : {0, 1, 1000, 100'000, 512 * 1024 - 4}) {
    browser.send(message(1, std::string(size, 'a')));
    EXPECT_EQ(server.next(), message(1, std::string(size, 'a'))) << size;
    server.send(message(1, std::string(size, 'b')));
    EXPECT_EQ(browser.next(), message(1, std::string(size, 'b'))) << size;
  }
  peer& plain = client();  // over TCP, to the same server
  plain.say(command::dial(7));
  EXPECT_EQ(plain.next_command(), command::accept(2, 7));
  EXPECT_EQ(server.next(), said(command::connect(2, 2)));
  browser.it.cut();
  EXPECT_EQ(server.next(), said(command::close(1)));
  server.it.cut();
  EXPECT_EQ(plain.next_command(), command::close(2));
}

TEST_P(gateway_doors, close_who_sends_messages_that_are_no_packets) {
  settings with;
  with.clients.url = "ws://127.0.0.1:0/";
  open(with);
  for (const char* wrong : {"", "abc"}) {
    message_peer bad(where, it->client_url());
    bad.say(command::ping());
    EXPECT_EQ(bad.next(), said(command::ping()));
    bad.send(wrong);
    EXPECT_TRUE(bad.is_closed());
  }
  message_peer texts(where, it->client_url());
  EXPECT_TRUE(texts.it.try_send("a text"));
  EXPECT_TRUE(texts.is_closed());
  EXPECT_EQ(it->stats().breaches, 3u);
}

TEST_P(gateway_doors, hold_back_what_a_message_peer_does_not_read_within_the_limits) {
  settings with;
  with.clients.url = "ws://127.0.0.1:0/";
  with.clients.send_queue_bytes = 256 * 1024;
  open(with);
  peer& s = server(7);
  message_peer deaf(where, it->client_url());
  deaf.say(command::dial(7));
  EXPECT_EQ(deaf.next(), said(command::accept(1, 7)));
  EXPECT_EQ(s.next_command(), command::connect(1, 1));
  deaf.it.pause();
  const auto large = packet(1, std::string(100'000, 'x'));
  std::string rest;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        if (rest.empty()) rest = large;
        if (const auto n = s.socket().try_send(rest); n > 0) rest.erase(0, static_cast<std::size_t>(n));
        return it->stats().slow != 0;
      },
      "the limit"));
  EXPECT_EQ(s.next_command(), command::close(1));
}

TEST_P(gateway_doors, let_servers_in_by_hmac_and_prove_that_they_know_the_key_too) {
  open();
  peer& one = knocking();
  const auto expected = login_with_hmac(one, 7, test::k_gateway_key);
  const auto welcome = one.next();
  EXPECT_EQ(welcome, as_text(codec::gateway::encode_welcome(expected)));
  EXPECT_TRUE(one.is_well());
  peer& wrong = knocking();
  (void)login_with_hmac(wrong, 8, "other");
  EXPECT_TRUE(wrong.is_closed());
  EXPECT_EQ(it->stats().wrong_proofs, 1u);
}

TEST_P(gateway_doors, take_md5_no_more_where_hmac_is_asked_for) {
  settings with;
  with.login = login_kind::hmac;
  open(with);
  peer& old = knocking();
  login(old, 7, test::k_gateway_key);
  EXPECT_TRUE(old.is_closed());
  peer& one = knocking();
  (void)login_with_hmac(one, 7, test::k_gateway_key);
  EXPECT_NE(one.next(), "");
}

TEST_P(gateway_doors, know_which_ids_a_key_is_good_for) {
  settings with;
  with.server_keys = parse_server_keys("# of two teams\n1,5-7 one\n\n * any key with blanks\n", "keys").value();
  open(with);
  peer& first = knocking();
  login(first, 6, "one");
  EXPECT_TRUE(first.is_well());
  peer& second = knocking();
  login(second, 8, "one");
  EXPECT_TRUE(second.is_closed());
  peer& third = knocking();
  (void)login_with_hmac(third, 8, "any key with blanks");
  EXPECT_NE(third.next(), "");
  EXPECT_EQ(it->stats().servers, 2u);
}

TEST(server_keys, that_cannot_be_read_say_the_line_and_no_secret) {
  for (const char* wrong :
       {"1 a\nsecret", "1 a\n5-3 secret", "1 a\n, secret", "1 a\nx secret", "1 a\n1-4294967296 secret"}) {
    const auto made = parse_server_keys(wrong, "keys");
    ASSERT_FALSE(made) << wrong;
    EXPECT_TRUE(made.error().text().starts_with("keys:2: ")) << made.error().text();
    EXPECT_EQ(made.error().text().find("secret"), std::string::npos);
  }
  EXPECT_FALSE(parse_server_keys("# nothing\n", "keys"));
}

TEST_P(gateway_doors, shut_out_an_address_that_failed_too_often) {
  settings with;
  with.servers.per_address.max_failures = 2;
  open(with);
  for (int i = 0; i < 2; ++i) {
    peer& bad = knocking();
    login(bad, 7, "wrong");
    EXPECT_TRUE(bad.is_closed());
  }
  peer& third = knocking();
  EXPECT_TRUE(third.is_closed());
  EXPECT_EQ(third.socket().received(), "");  // no challenge either
  EXPECT_EQ(it->stats().turned_away, 1u);
  (void)client();  // clients have limits of their own
}

TEST_P(gateway_doors, turn_away_who_has_too_many_connections_from_one_address) {
  settings with;
  with.clients.per_address.max_connections = 2;
  open(with);
  peer& first = client();
  client();
  peer& third = peers.emplace_back(io, port_of(it->client_url()));
  EXPECT_TRUE(third.is_closed());
  first.socket().close();
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().clients == 1; }, "the end of the first"));
  client();
}

TEST_P(gateway_doors, are_not_opened_where_another_gateway_listens_unless_both_share_the_port) {
  open();
  auto second = test::local();
  second.threads = GetParam();
  second.clients.url = it->client_url();
  EXPECT_EQ(service::open(where, second).error(), errc::address_in_use);
  it.reset();
  EXPECT_TRUE(service::open(where, second));
  second.reuse_port = true;
  auto one = service::open(where, second);
  auto other = service::open(where, second);
  EXPECT_TRUE(one && other);
}

TEST_P(gateway_doors, tell_a_server_where_a_client_comes_from_if_that_is_wished) {
  settings with;
  with.connect_address = true;
  with.clients.url = "tcp://127.0.0.1:0?proxy_protocol=accept";
  open(with);
  peer& s = server(7);
  peer& c = peers.emplace_back(io, port_of(it->client_url()));
  c.send("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n");
  c.say(command::dial(7));
  EXPECT_EQ(c.next_command(), command::accept(1, 7));
  const auto told = s.next();
  EXPECT_EQ(told.substr(8), said(command::connect(1, 1)).substr(4) + "192.0.2.1:4711");
  EXPECT_EQ(load_le<std::uint32_t>(as_bytes(told).data()), told.size() - 4);
}

}  // namespace
}  // namespace ferry::gateway
