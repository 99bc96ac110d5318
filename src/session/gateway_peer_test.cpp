#include "session/gateway_peer.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

#include "session/virtual_connections.hpp"

namespace ferry::session {
namespace {

using namespace std::chrono_literals;
using codec::gateway::command;
using type = gateway_event::type;

struct said final : gateway_peer_output {
  void send(const command& what) override { all.push_back(what); }
  std::vector<command> take() { return std::exchange(all, {}); }
  std::vector<command> all;
};
using commands = std::vector<command>;

struct peer_alone : ::testing::Test {
  result<gateway_event> hear(const command& what) {
    const auto wire = encode(what);
    return it.on_packet(*codec::gateway::packet_decoder(64).next(wire.view()), now, out);
  }
  std::uint32_t joined(std::uint32_t number) {
    EXPECT_EQ(hear(command::connect(number, 1))->what, type::connected);
    return number;
  }
  gateway_peer it{{.max_packet = 64, .max_connections = 3, .max_dials = 3, .dial_timeout = 10s, .ping_interval = 5s}};
  time_point now{time_point(1h)};
  said out;
};

TEST_F(peer_alone, dials_and_is_accepted_or_refused) {
  const auto a = it.dial(7, now, out), b = it.dial(8, now, out);
  EXPECT_EQ(out.take(), (commands{command::dial(7), command::dial(8)}));
  const auto refused = hear(command::refuse(8));
  EXPECT_EQ(refused->what, type::refused);
  EXPECT_EQ(refused->dial, *b);
  const auto accepted = hear(command::accept(5, 7));
  EXPECT_EQ(accepted->what, type::accepted);
  EXPECT_EQ(accepted->dial, *a);
  EXPECT_EQ(accepted->connection, 5u);
  EXPECT_EQ(it.connections(), 1u);
  EXPECT_EQ(it.dials(), 0u);
}

TEST_F(peer_alone, takes_answers_for_one_remote_in_the_order_of_its_dials) {
  const auto a = it.dial(7, now, out), b = it.dial(7, now, out);
  EXPECT_EQ(hear(command::accept(1, 7))->dial, *a);
  EXPECT_EQ(hear(command::refuse(7))->dial, *b);
}

TEST_F(peer_alone, gives_a_dial_up_in_time_and_closes_an_answer_that_comes_later) {
  const auto a = it.dial(7, now, out);
  EXPECT_EQ(it.next(), now + 10s);
  EXPECT_EQ(it.on_time(now + 10s - 1ns, out).what, type::none);
  now += 10s;
  const auto late = it.on_time(now, out);
  EXPECT_EQ(late.what, type::dial_timed_out);
  EXPECT_EQ(late.dial, *a);
  EXPECT_EQ(it.on_time(now, out).what, type::none);
  const auto b = it.dial(7, now, out);
  out.all.clear();
  EXPECT_EQ(hear(command::accept(5, 7))->what, type::none);
  EXPECT_EQ(out.take(), commands{command::close(5)});
  EXPECT_EQ(hear(command::accept(6, 7))->dial, *b);
}

TEST_F(peer_alone, says_nothing_more_of_a_dial_that_was_given_up_and_closes_what_it_becomes) {
  const auto a = it.dial(7, now, out), b = it.dial(7, now, out);
  out.all.clear();
  it.give_up(*a);
  it.give_up(*a);
  it.give_up(99);
  EXPECT_EQ(it.dials(), 1u);
  EXPECT_EQ(hear(command::accept(5, 7))->what, type::none);
  EXPECT_EQ(out.take(), commands{command::close(5)});
  EXPECT_EQ(hear(command::accept(6, 7))->dial, *b);
}

TEST_F(peer_alone, lets_no_more_dials_wait_than_its_limit) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(it.dial(7, now, out));
  EXPECT_EQ(it.dial(7, now, out).error(), errc::busy);
}

TEST_F(peer_alone, hears_messages_and_the_end_of_a_virtual_connection) {
  joined(5);
  const auto came = it.on_packet({9, 9, 5, as_bytes("x")}, now, out);
  EXPECT_EQ(came->what, type::message);
  EXPECT_EQ(as_text(came->message), "x");
  EXPECT_EQ(hear(command::close(5))->what, type::closed);
  EXPECT_EQ(hear(command::close(5))->what, type::none);
  EXPECT_EQ(it.on_packet({9, 9, 5, as_bytes("x")}, now, out)->what, type::none);
}

TEST_F(peer_alone, closes_and_hears_nothing_more_of_it) {
  joined(5);
  EXPECT_TRUE(it.close(5, now, out));
  EXPECT_EQ(out.take(), commands{command::close(5)});
  EXPECT_EQ(hear(command::close(5))->what, type::none);
  EXPECT_EQ(it.close(5, now, out).error(), errc::closed);
  EXPECT_EQ(it.may_send(5, 1, now).error(), errc::closed);
}

TEST_F(peer_alone, sends_what_fits_into_a_packet_and_nothing_larger) {
  joined(5);
  EXPECT_TRUE(it.may_send(5, 60, now));
  EXPECT_EQ(it.may_send(5, 61, now).error(), errc::message_too_large);
}

TEST_F(peer_alone, closes_who_dials_above_its_limit) {
  for (std::uint32_t i = 1; i <= 3; ++i) joined(i);
  EXPECT_EQ(hear(command::connect(4, 1))->what, type::none);
  EXPECT_EQ(out.take(), commands{command::close(4)});
  EXPECT_EQ(it.connections(), 3u);
}

TEST_F(peer_alone, finds_the_gateways_breaches) {
  joined(5);
  for (const auto& what :
       {command::dial(1), command::accept(6, 7), command::refuse(7), command::connect(5, 1), command::connect(0, 1)})
    EXPECT_EQ(hear(what).error(), errc::protocol) << to_string(what.type);
  ASSERT_TRUE(it.dial(7, now, out));
  EXPECT_EQ(hear(command::accept(5, 7)).error(), errc::protocol);
  EXPECT_EQ(it.on_packet({9, 9, 0, as_bytes("\x09")}, now, out).error(), errc::protocol);
}

TEST_F(peer_alone, pings_when_nothing_was_sent_and_says_when_no_answer_comes) {
  it.on_up(now);
  joined(5);
  now += 4s;
  EXPECT_TRUE(it.may_send(5, 1, now));
  now += 4s;
  EXPECT_EQ(it.on_time(now, out).what, type::none);
  EXPECT_TRUE(out.all.empty());
  now += 1s;
  EXPECT_EQ(it.on_time(now, out).what, type::none);
  EXPECT_EQ(out.take(), commands{command::ping()});
  now += 2s;
  EXPECT_EQ(hear(command::ping())->what, type::none);
  EXPECT_EQ(it.round_trip(), duration(2s));
  for (int i = 0; i < 3 && out.all.empty(); ++i) {
    now = *it.next();
    EXPECT_EQ(it.on_time(now, out).what, type::none);
  }
  EXPECT_EQ(out.take(), commands{command::ping()});
  now = *it.next();
  EXPECT_EQ(it.on_time(now, out).what, type::ping_timed_out);
  EXPECT_EQ(it.on_time(now, out).what, type::none);
}

TEST_F(peer_alone, is_told_of_all_that_ends_with_the_physical_connection) {
  joined(5);
  joined(6);
  const auto a = it.dial(7, now, out);
  const auto first = it.on_lost();
  EXPECT_EQ(first.what, type::refused);
  EXPECT_EQ(first.dial, *a);
  std::set<std::uint32_t> closed;
  for (auto one = it.on_lost(); one.what != type::none; one = it.on_lost()) closed.insert(one.connection);
  EXPECT_EQ(closed, (std::set<std::uint32_t>{5, 6}));
  EXPECT_EQ(it.next(), std::nullopt);
}

// Peers and the table of a gateway, with packets under way in queues, events by chance.
struct whole_world final : gateway_commands {
  struct end final : gateway_member, gateway_peer_output {
    void send(const command& what) override { put(to_gateway, what); }
    static void put(std::deque<std::vector<std::byte>>& to, const command& what) {
      const auto wire = encode(what);
      to.emplace_back(wire.view().begin(), wire.view().end());
    }
    gateway_peer peer;
    std::deque<std::vector<std::byte>> to_gateway, from_gateway;
    std::map<std::uint32_t, std::string> mine;  // virtual connections: the other end's name
    std::string name;
  };
  void tell(gateway_member& to, const command& what) override { end::put(static_cast<end&>(to).from_gateway, what); }

  virtual_connections table;
  std::deque<end> ends;
};

TEST(gateway_world, every_message_reaches_the_end_that_its_virtual_connection_has_and_no_other) {
  std::mt19937 chance(11);
  whole_world w;
  const time_point now{time_point(1h)};
  for (std::uint32_t i = 0; i < 6; ++i) {
    auto& one = w.ends.emplace_back();
    one.name = "end " + std::to_string(i);
    ASSERT_TRUE(i < 4 ? w.table.add_client(one) : w.table.add_server(one, i));
  }
  const auto named = [&](const whole_world::end& of, std::uint32_t remote) {
    return "end " + std::to_string(of.role() == gateway_role::client ? remote : remote - 1);
  };
  std::size_t messages = 0, closed = 0;
  for (int i = 0; i < 200'000 && !::testing::Test::HasFailure(); ++i) {
    auto& one = w.ends[chance() % w.ends.size()];
    switch (chance() % 8) {
      case 0: {
        const bool client = one.role() == gateway_role::client;
        const auto remote = static_cast<std::uint32_t>(client ? 4 + chance() % 3 : 1 + chance() % 5);
        if (one.peer.connections() < 10) (void)one.peer.dial(remote, now, one);
        break;
      }
      case 1:
        if (!one.mine.empty() && chance() % 4 == 0) {
          EXPECT_TRUE(one.peer.close(one.mine.begin()->first, now, one));
          one.mine.erase(one.mine.begin());
        }
        break;
      case 2:
      case 3:
        for (const auto& [number, other] : one.mine) {
          EXPECT_TRUE(one.peer.may_send(number, 20, now));
          const std::string text = one.name + " to " + other;
          std::vector<std::byte> wire(codec::gateway::k_header_bytes);
          codec::gateway::store_header(wire.data(), number, text.size());
          wire.insert(wire.end(), as_bytes(text).begin(), as_bytes(text).end());
          one.to_gateway.push_back(std::move(wire));
        }
        break;
      case 4:
      case 5:
        while (!one.to_gateway.empty()) {
          const auto wire = std::move(one.to_gateway.front());
          one.to_gateway.pop_front();
          const auto to = w.table.on_packet(one, *codec::gateway::packet_decoder(64).next(wire), w);
          ASSERT_TRUE(to) << to.error().text();
          if (*to != nullptr) static_cast<whole_world::end*>(*to)->from_gateway.push_back(wire);
        }
        break;
      default:
        while (!one.from_gateway.empty()) {
          const auto wire = std::move(one.from_gateway.front());
          one.from_gateway.pop_front();
          const auto came = one.peer.on_packet(*codec::gateway::packet_decoder(64).next(wire), now, one);
          ASSERT_TRUE(came) << came.error().text();
          if (came->what == type::accepted || came->what == type::connected)
            one.mine[came->connection] = named(one, came->remote);
          if (came->what == type::closed) {
            EXPECT_EQ(one.mine.erase(came->connection), 1u);
            ++closed;
          }
          if (came->what != type::message) continue;
          EXPECT_EQ(as_text(came->message), one.mine.at(came->connection) + " to " + one.name);
          ++messages;
        }
    }
  }
  EXPECT_GT(messages, 100'000u);
  EXPECT_GT(closed, 1000u);
  EXPECT_EQ(w.table.counts().refused_unknown > 0, true);
}

}  // namespace
}  // namespace ferry::session
