#include "gateway/gateway.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "testing/gateway_by_hand.hpp"
#include "testing/hex.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using test::local;
using test::packet;
using test::port_of;
using test::run_until;
using test::wire;
using peer = test::gateway_peer;

// Alike, on however many threads it runs.
class gateway_service : public test::gateway_service, public ::testing::WithParamInterface<std::uint32_t> {
 protected:
  void open(settings with = {}) {
    with.threads = GetParam();
    test::gateway_service::open(with);
  }
};
INSTANTIATE_TEST_SUITE_P(on_threads, gateway_service, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

TEST_P(gateway_service, says_byte_for_byte_what_was_recorded) {
  open();
  std::map<std::string, peer*> sides;
  sides["server"] = &server(7);
  sides["client"] = &client();
  std::size_t heard = 0;
  for (const auto& line : test::recorded_conversation(FERRY_SOURCE_DIR "/tests/interop/data/gateway.jsonl")) {
    if (line.what == "challenge" || line.what.starts_with("md5")) continue;
    peer& who = *sides.at(line.connection);
    if (line.direction.starts_with("G")) {
      EXPECT_EQ(test::to_hex(as_bytes(who.next())), test::to_hex(line.data)) << line.what;
      ++heard;
    } else if (line.data.empty()) {
      who.socket().close();
    } else {
      who.send(as_text(line.data));
    }
  }
  EXPECT_EQ(heard, 12u);
}

TEST_P(gateway_service, carries_messages_of_every_size_both_ways_whole_and_in_order) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  for (const std::size_t size : {0, 1, 64, 2039, 2040, 2041, 4096, 65535, 65536, 200'000, 512 * 1024 - 4}) {
    const auto there = packet(number, std::string(size, 'a'));
    const auto back = packet(number, std::string(size, 'b'));
    std::string_view rest = there;
    std::string got;
    ASSERT_TRUE(run_until(
        io,
        [&] {
          if (const auto n = c.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
          return rest.empty();
        },
        "room"));
    EXPECT_EQ(s.next(), there) << size;
    rest = back;
    ASSERT_TRUE(run_until(
        io,
        [&] {
          if (const auto n = s.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
          return rest.empty();
        },
        "room"));
    EXPECT_EQ(c.next(), back) << size;
  }
  EXPECT_EQ(it->stats().forwarded, 22u);
}

TEST_P(gateway_service, takes_packets_in_pieces_of_every_size) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  const auto all = packet(number, "one") + packet(number, "") + wire(command::ping()) + packet(number, "three");
  for (std::size_t piece = 1; piece <= all.size(); ++piece) {
    for (std::size_t at = 0; at < all.size(); at += piece) {
      c.send(std::string_view(all).substr(at, piece));
      test::run_ready(io);
    }
    EXPECT_EQ(s.next(), packet(number, "one")) << piece;
    EXPECT_EQ(s.next(), packet(number, "")) << piece;
    EXPECT_EQ(s.next(), packet(number, "three")) << piece;
    EXPECT_EQ(c.next_command(), command::ping()) << piece;
  }
}

TEST_P(gateway_service, forwards_what_was_sent_before_a_close_before_the_close) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  c.send(packet(number, "last words") + wire(command::close(number)));
  EXPECT_EQ(s.next(), packet(number, "last words"));
  EXPECT_EQ(s.next_command(), command::close(number));
}

TEST_P(gateway_service, closes_who_breaks_the_protocol_and_nobody_else) {
  open();
  peer& s = server(7);
  peer& good = client();
  const auto number = dial(good, s, 7);
  const std::string wrong[] = {
      std::string("\0\0\0\0", 4),
      std::string("\3\0\0\0", 4),
      std::string("\1\0\x08\0", 4),           // above MaxPacket
      std::string("\xff\xff\xff\xff", 4),     // giant
      packet(0, ""),                          // no type
      packet(0, "\x06"),                      // unknown
      packet(0, std::string("\0\1\0\0", 4)),  // short Dial
      packet(0, std::string("\4\1\0", 3)),    // short Close
      wire(command::accept(1, 1)),
      wire(command::connect(1, 1)),
      wire(command::refuse(1)),
      wire(command::close(number)),
      packet(number, "mine"),  // of others
  };
  for (const auto& one : wrong) {
    peer& bad = client();
    const auto own = dial(bad, s, 7);
    bad.send(one);
    EXPECT_TRUE(bad.is_closed());
    EXPECT_EQ(s.next_command(), command::close(own));
    EXPECT_TRUE(good.is_well());
  }
  EXPECT_EQ(it->stats().breaches, std::size(wrong));
  good.send(packet(number, "still"));
  EXPECT_EQ(s.next(), packet(number, "still"));
}

TEST_P(gateway_service, closes_a_server_with_a_wrong_proof_without_a_word) {
  open();
  peer& one = knocking();
  login(one, 7, "Sekrit");
  EXPECT_TRUE(one.is_closed());
  EXPECT_EQ(one.socket().received(), "");
  EXPECT_EQ(it->stats().wrong_proofs, 1u);
  EXPECT_EQ(it->stats().servers, 0u);
}

TEST_P(gateway_service, closes_a_server_that_does_not_log_in_in_time) {
  settings with;
  with.login_timeout = std::chrono::milliseconds(50);
  open(with);
  peer& silent = knocking();
  peer& dripping = knocking();
  dripping.send("x");
  EXPECT_TRUE(silent.is_closed());
  EXPECT_TRUE(dripping.is_closed());
  EXPECT_EQ(it->stats().idle, 2u);
}

TEST_P(gateway_service, closes_who_is_idle_and_keeps_who_pings) {
  settings with;
  with.clients.idle_timeout = std::chrono::milliseconds(300);
  open(with);
  peer& silent = client();
  peer& pinging = client();
  ASSERT_TRUE(run_until(
      io,
      [&] {
        pinging.say(command::ping());
        (void)pinging.next();
        return silent.socket().ended();
      },
      "the end of the silent one"));
  EXPECT_TRUE(pinging.is_well());
}

TEST_P(gateway_service, refuses_dials_above_the_limit_of_a_client) {
  settings with;
  with.client_max_conn = 2;
  open(with);
  peer& s = server(7);
  peer& c = client();
  dial(c, s, 7);
  dial(c, s, 7);
  c.say(command::dial(7));
  EXPECT_EQ(c.next_command(), command::refuse(7));
}

TEST_P(gateway_service, turns_away_who_comes_above_the_limit) {
  settings with;
  with.max_members = 2;
  open(with);
  client();
  client();
  peer& third = peers.emplace_back(io, port_of(it->client_url()));
  EXPECT_TRUE(third.is_closed());
  EXPECT_EQ(it->stats().turned_away, 1u);
}

TEST_P(gateway_service, closes_a_client_that_does_not_read_and_nobody_waits_for_it) {
  settings with;
  with.clients.send_queue_bytes = 256 * 1024;
  open(with);
  peer& s = server(7);
  peer& deaf = client();
  peer& good = client();
  const auto to_deaf = dial(deaf, s, 7);
  const auto to_good = dial(good, s, 7);
  const auto large = packet(to_deaf, std::string(100'000, 'x'));
  bool closed = false;
  for (int i = 0; i < 2000 && !closed; ++i) {
    s.send(large + packet(to_good, std::to_string(i)));
    EXPECT_EQ(good.next(), packet(to_good, std::to_string(i)));
    closed = it->stats().slow != 0;
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(s.next_command(), command::close(to_deaf));
  EXPECT_TRUE(good.is_well());
}

TEST_P(gateway_service, closes_a_client_whose_packets_are_too_many) {
  settings with;
  with.clients.send_queue = 100;
  open(with);
  peer& s = server(7);
  peer& deaf = client();
  const auto number = dial(deaf, s, 7);
  std::string many;
  for (int i = 0; i < 200; ++i) many += packet(number, std::string(500, 'x'));
  std::string flight;
  // Never blocks: a part of the gateway runs on this thread.
  ASSERT_TRUE(run_until(
      io,
      [&] {
        if (flight.empty()) flight = many;
        if (const auto n = s.socket().try_send(flight); n > 0) flight.erase(0, static_cast<std::size_t>(n));
        return it->stats().slow != 0;
      },
      "the limit"));
  EXPECT_EQ(s.next_command(), command::close(number));
  EXPECT_EQ(it->stats().slow, 1u);
}

TEST_P(gateway_service, holds_a_client_back_while_a_server_does_not_read_and_loses_nothing) {
  settings with;
  with.when_full = overflow::pause;
  with.servers.send_queue_bytes = 256 * 1024;
  open(with);
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  std::string sent, flight;
  int messages = 0;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        while (flight.size() < 100'000)
          flight += packet(number, std::string(5000, static_cast<char>('a' + messages++ % 26)));
        if (const auto n = c.socket().try_send(flight); n > 0) {
          sent += flight.substr(0, static_cast<std::size_t>(n));
          flight.erase(0, static_cast<std::size_t>(n));
        }
        return it->stats().held_back > 0;
      },
      "the limit"));
  EXPECT_LT(it->stats().forwarded_bytes, 64u << 20);
  std::string got;
  std::string_view rest = flight;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        if (const auto n = c.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
        got += s.socket().take(s.socket().received().size());
        return got.size() == sent.size() + flight.size();
      },
      "all of it"));
  EXPECT_TRUE(got == sent + flight);
  EXPECT_EQ(it->stats().slow, 0u);
  EXPECT_TRUE(c.is_well());
}

TEST_P(gateway_service, tells_everybody_when_a_server_with_many_virtual_connections_vanishes) {
  settings with;
  with.client_max_conn = 1000;
  open(with);
  peer& s = server(7);
  std::vector<peer*> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(&client());
    for (int one = 0; one < 200; ++one) dial(*clients.back(), s, 7);
  }
  s.socket().close();
  for (peer* const one : clients) {
    for (int i = 0; i < 200; ++i) EXPECT_EQ(one->next_command()->type, codec::gateway::command_type::close);
    EXPECT_TRUE(one->is_well());
  }
  EXPECT_EQ(it->stats().connections, 0u);
}

TEST_P(gateway_service, keeps_a_server_reachable_that_comes_again_before_its_old_connection_ends) {
  open();
  peer& before = server(7);
  peer& again = server(7);
  before.socket().close();
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().servers == 1; }, "the end of the first"));
  dial(client(), again, 7);
}

TEST_P(gateway_service, stops_when_the_last_virtual_connection_has_ended) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  bool stopped = false;
  it->stop(std::chrono::hours(1), [&] { stopped = true; });
  c.say(command::dial(7));
  EXPECT_EQ(c.next_command(), command::refuse(7));
  c.send(packet(number, "goes on"));
  EXPECT_EQ(s.next(), packet(number, "goes on"));
  EXPECT_FALSE(stopped);
  c.say(command::close(number));
  ASSERT_TRUE(run_until(
      io, [&] { return stopped; }, "the stop"));
  EXPECT_EQ(c.next_command(), command::close(number));
  EXPECT_TRUE(c.is_closed());
}

TEST_P(gateway_service, stops_after_the_time_given_and_tells_both_ends) {
  open();
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  bool stopped = false;
  it->stop(std::chrono::milliseconds(20), [&] { stopped = true; });
  ASSERT_TRUE(run_until(
      io, [&] { return stopped; }, "the stop"));
  EXPECT_EQ(c.next_command(), command::close(number));
  EXPECT_EQ(s.next_command(), command::close(number));
  EXPECT_TRUE(it->members(10).empty());
  EXPECT_EQ(it->stats().clients + it->stats().servers, 0u);
}

TEST_P(gateway_service, says_when_it_cannot_listen) {
  settings with = local();
  with.clients.url = "inproc://x";
  EXPECT_EQ(service::open(where, with).error(), errc::unsupported);
  with.clients.url = "tcp://127.0.0.1:0 nonsense";
  EXPECT_FALSE(service::open(where, with));
  with = local();
  with.clients.resume.kind = resume_kind::token;  // over what everybody can read
  EXPECT_EQ(service::open(where, with).error(), errc::unsupported);
}

}  // namespace
}  // namespace ferry::gateway
