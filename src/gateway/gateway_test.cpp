#include "gateway/gateway.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/spin_habit.hpp"
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
class gateway_service : public test::gateway_service_on_threads {
 protected:
  // So long those who ping may be silent: threads of their own go on while this one is kept from running.
  [[nodiscard]] static duration idle_time() { return std::chrono::milliseconds(GetParam() == 1 ? 300 : 2000); }
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
  const auto passes = [&](peer& from, std::string_view rest) {
    ASSERT_TRUE(run_until(
        io,
        [&] {
          if (const auto n = from.socket().try_send(rest); n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
          return rest.empty();
        },
        "room"));
  };
  for (const std::size_t size : {0, 1, 64, 2039, 2040, 2041, 4096, 65535, 65536, 200'000, 512 * 1024 - 4}) {
    const auto there = packet(number, std::string(size, 'a'));
    const auto back = packet(number, std::string(size, 'b'));
    passes(c, there);
    EXPECT_EQ(s.next(), there) << size;
    passes(s, back);
    EXPECT_EQ(c.next(), back) << size;
  }
  const auto now = it->stats();
  EXPECT_EQ(now.forwarded, 22u);
  EXPECT_EQ(now.forwarded_from_servers, 11u);
  EXPECT_EQ(now.forwarded_bytes, 2 * now.forwarded_bytes_from_servers);
}

long cores() { return ::sysconf(_SC_NPROCESSORS_ONLN); }

TEST_P(gateway_service, looks_for_more_before_it_sleeps_where_that_is_wished) {
  if (cores() == 1) GTEST_SKIP() << "no core is left for others";
  settings with;
  with.spin = std::chrono::hours(1);
  open(with);
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  c.send(packet(number, "one"));
  EXPECT_EQ(s.next(), packet(number, "one"));
  if (GetParam() > 1) return;  // of which this thread sees only the first
  if (io.stopped()) io.restart();
  // Others may take this core from the test, too.
  const auto is_awake_for_long = [&] {
    for (int i = 0; i < 1000; ++i)
      if (io.poll_one() == 0) return false;
    return true;
  };
  while (!is_awake_for_long()) {
    const auto later = std::chrono::steady_clock::now() + spin_habit::k_most_rest;
    ASSERT_TRUE(run_until(
        io, [&] { return std::chrono::steady_clock::now() > later; }, "the end of its rest"));
    c.send(packet(number, "again"));
    EXPECT_EQ(s.next(), packet(number, "again"));
  }
  const auto later = std::chrono::steady_clock::now() + spin_habit::k_lost;
  while (std::chrono::steady_clock::now() < later) continue;  // as if another process had the core
  EXPECT_TRUE(run_until(
      io, [&] { return io.poll_one() == 0; }, "sleep"));
}

TEST_P(gateway_service, sleeps_at_once_where_it_is_told_to_look_no_more) {
  if (GetParam() > 1) return;
  settings with;
  with.spin = std::chrono::hours(1);
  open(with);
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  c.send(packet(number, "one"));
  EXPECT_EQ(s.next(), packet(number, "one"));
  with = local(with);
  with.spin = duration::zero();
  it->change(with);
  ASSERT_TRUE(run_until(
      io, [&] { return io.poll_one() == 0; }, "sleep"));
}

TEST_P(gateway_service, looks_no_more_for_a_while_where_nothing_came_in_time) {
  if (GetParam() > 1) return;  // of which this thread sees only the first
  settings with;
  with.spin = std::chrono::nanoseconds(1);  // in which nothing comes
  open(with);
  peer& s = server(7);
  peer& c = client();
  const auto number = dial(c, s, 7);
  const auto turns_for_a_packet = [&] {
    c.send(packet(number, "one"));
    std::size_t made = 0;
    EXPECT_TRUE(run_until(
        io,
        [&] {
          made += io.poll_one();
          return !s.socket().received().empty();
        },
        "a packet"));
    (void)s.next();
    while (io.poll_one() != 0) ++made;
    return made;
  };
  const auto usual_turns = [&] {
    std::map<std::size_t, int> packets;  // by turns
    for (int i = 0; i < 200; ++i) ++packets[turns_for_a_packet()];
    return std::max_element(packets.begin(), packets.end(), [](auto& a, auto& b) { return a.second < b.second; })
        ->first;
  };
  const auto with_looks = usual_turns();
  with = local(with);
  with.spin = duration::zero();
  it->change(with);
  EXPECT_EQ(with_looks, usual_turns());
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
  with.clients.idle_timeout = idle_time();
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
        for (ssize_t n = 1; n > 0; flight.erase(0, static_cast<std::size_t>(std::max<ssize_t>(n, 0)))) {
          if (flight.empty()) flight = many;
          n = s.socket().try_send(flight);
        }
        return !s.socket().received().empty();  // asking all threads after each handler takes long
      },
      "the limit"));
  EXPECT_EQ(s.next_command(), command::close(number));
  EXPECT_EQ(it->stats().slow, 1u);
}

// A client talks to a server that does not read, until that one is closed; another client and another server talk too.
class gateway_with_a_deaf_server : public gateway_service {
 protected:
  void expect_it_is_closed_alone(const settings& with, std::size_t message_size) {
    open(with);
    peer& deaf = server(7);
    peer& well = server(8);
    peer& speaker = client();
    peer& good = client();
    const auto to_deaf = dial(speaker, deaf, 7);
    const auto to_well = dial(good, well, 8);
    std::string many, flight;
    while (many.size() < 100'000) many += packet(to_deaf, std::string(message_size, 'x'));
    for (int i = 0; it->stats().slow == 0; ++i) {
      ASSERT_LT(i, 10'000) << "it is not closed";
      for (ssize_t n = 1; n > 0; flight.erase(0, static_cast<std::size_t>(std::max<ssize_t>(n, 0)))) {
        if (flight.empty()) flight = many;
        n = speaker.socket().try_send(flight);
      }
      good.send(packet(to_well, std::to_string(i)));
      ASSERT_EQ(well.next(), packet(to_well, std::to_string(i)));
    }
    EXPECT_TRUE(deaf.is_closed());
    EXPECT_EQ(speaker.next_command(), command::close(to_deaf));
    EXPECT_TRUE(good.is_well());
    EXPECT_TRUE(well.is_well());
    EXPECT_FALSE(speaker.socket().ended());
    EXPECT_EQ(it->stats().slow, 1u);
    EXPECT_EQ(it->stats().servers, 1u);
  }
};
INSTANTIATE_TEST_SUITE_P(on_threads, gateway_with_a_deaf_server, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

TEST_P(gateway_with_a_deaf_server, closes_it_alone_when_too_many_bytes_wait) {
  settings with;
  with.servers.send_queue_bytes = 256 * 1024;
  expect_it_is_closed_alone(with, 20'000);
}

TEST_P(gateway_with_a_deaf_server, closes_it_alone_when_too_many_packets_wait) {
  settings with;
  with.servers.send_queue = 100;
  expect_it_is_closed_alone(with, 200);
}

TEST_P(gateway_service, closes_a_server_that_is_idle_and_tells_its_clients) {
  settings with;
  open(with);
  peer& silent = server(7);
  peer& pinging = server(8);
  peer& c = client();
  const auto number = dial(c, silent, 7);
  with = local(with);
  with.threads = GetParam();
  with.servers.idle_timeout = idle_time();
  EXPECT_TRUE(pinging.is_well());
  it->change(with);
  ASSERT_TRUE(run_until(
      io,
      [&] {
        pinging.say(command::ping());
        (void)pinging.next();
        return silent.socket().ended();
      },
      "the end of the silent one"));
  EXPECT_EQ(c.next_command(), command::close(number));
  EXPECT_TRUE(pinging.is_well());
  EXPECT_TRUE(c.is_well());
  EXPECT_EQ(it->stats().idle, 1u);
}

TEST_P(gateway_service, does_not_take_for_silence_what_it_does_not_read) {
  settings with;
  with.when_full = overflow::pause;
  with.servers.send_queue_bytes = 64 * 1024;
  open(with);
  peer& s = server(7);
  peer& held = client();
  const auto number = dial(held, s, 7);
  const auto message = packet(number, std::string(5000, 'x'));
  std::string flight;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        for (ssize_t n = 1; n > 0; flight.erase(0, static_cast<std::size_t>(std::max<ssize_t>(n, 0)))) {
          if (flight.empty()) flight = message;
          n = held.socket().try_send(flight);
        }
        return it->stats().held_back > 0;
      },
      "the limit"));
  with = local(with);
  with.threads = GetParam();
  with.clients.idle_timeout = std::chrono::milliseconds(300);
  it->change(with);
  for (int i = 0; i < 3; ++i) {
    peer& silent = peers.emplace_back(io, port_of(it->client_url()));
    EXPECT_TRUE(silent.is_closed()) << "for that long nothing came";
  }
  EXPECT_EQ(it->stats().idle, 3u);
  EXPECT_FALSE(held.socket().ended());
}

using gateway_on_this_thread = test::gateway_service;

TEST_F(gateway_on_this_thread, looks_for_nothing_where_it_has_as_many_threads_as_there_are_cores) {
  settings with;
  with.spin = std::chrono::hours(1);
  with.threads = static_cast<std::uint32_t>(std::min<long>(cores(), k_most_threads));
  open(with);
  peer& s = server(7);
  for (int i = 0; i < 30; ++i) {  // some of whom are on this thread
    peer& c = client();
    const auto number = dial(c, s, 7);
    c.send(packet(number, "one"));
    EXPECT_EQ(s.next(), packet(number, "one"));
  }
  EXPECT_TRUE(run_until(
      io, [&] { return io.poll_one() == 0; }, "sleep", std::chrono::seconds(10)));
}

TEST_F(gateway_on_this_thread, that_was_busy_for_the_idle_time_reads_what_came_meanwhile) {
  constexpr int k_clients = 200;  // more than one turn of the event loop reads
  open();
  for (int i = 0; i < k_clients; ++i) client();
  settings with = test::local();
  with.clients.idle_timeout = std::chrono::milliseconds(300);
  it->change(with);
  for (auto& one : peers) one.say(command::ping());
  const auto end = std::chrono::steady_clock::now() + 2 * with.clients.idle_timeout;
  while (std::chrono::steady_clock::now() < end) continue;  // as if this thread were busy with something else
  for (auto& one : peers) ASSERT_EQ(one.next_command(), command::ping());
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
