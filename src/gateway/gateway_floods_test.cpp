// Floods of dials: who brings them about waits or is closed, and to everybody else nothing happens.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>
#include <string>

#include "gateway/gateway.hpp"
#include "gateway/hand_over.hpp"
#include "testing/gateway_by_hand.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;
using test::packet;
using test::run_until;
using test::wire;
using peer = test::gateway_peer;

constexpr std::uint32_t k_at_once = 100;  // virtual connections of a client
constexpr std::size_t k_queue = 2000;     // packets that may wait for a server
constexpr int k_flooders = 4;
constexpr std::size_t k_on_the_way = 1u << 20;  // from one thread to another
constexpr std::uint64_t k_enough = 1'000'000;   // dials
constexpr std::uint64_t k_most_memory = 8u << 20;

/// All whole packets that have come.
template <class Take>
void take_commands(peer& who, const Take& take) {
  const auto& came = who.socket().received();
  std::size_t whole = 0;
  for (std::size_t next = 0; came.size() - whole >= 4; whole = next) {
    next = whole + 4 + load_le<std::uint32_t>(as_bytes(came).data() + whole);
    if (next > came.size()) break;
  }
  const auto all = who.socket().take(whole);
  for (std::size_t at = 0; at < all.size();) {
    const auto length = load_le<std::uint32_t>(as_bytes(all).data() + at);
    if (const auto said = codec::gateway::decode_command(as_bytes(all).subspan(at + 8, length - 4))) take(*said);
    at += 4 + length;
  }
}

// Dials without end, and closes at once what it has got.
class flooder {
 public:
  /// @param closes  false: it keeps what it has got
  flooder(peer& who, std::uint32_t dialled, bool closes = true) : who_(&who), server_(dialled), closes_(closes) {
    for (std::uint32_t i = 0; i < k_at_once; ++i) flight_ += wire(command::dial(dialled));
  }
  void turn() {
    take_commands(*who_, [&](const command& said) {
      if (said.type == command_type::accept) {
        if (closes_) flight_ += wire(command::close(said.connection));
        flight_ += wire(command::dial(server_));
      } else if (!closes_) {
        ++turned_down_;  // refused, or across threads accepted and closed
        if (said.type == command_type::refuse) flight_ += wire(command::dial(server_));
      } else {
        EXPECT_EQ(said.type, command_type::close);
      }
    });
    if (const auto n = who_->socket().try_send(flight_); n > 0) flight_.erase(0, static_cast<std::size_t>(n));
    EXPECT_FALSE(who_->socket().ended());
  }
  [[nodiscard]] std::uint64_t turned_down() const { return turned_down_; }

 private:
  peer* who_;
  std::uint32_t server_;
  bool closes_;
  std::uint64_t turned_down_ = 0;
  std::string flight_;
};

// Alike, on however many threads it runs.
class gateway_floods : public test::gateway_service_on_threads {
 protected:
  void open(std::uint32_t at_once = k_at_once) {
    settings with;
    with.client_max_conn = at_once;
    with.servers.send_queue = k_queue;
    with.clients.send_queue = k_queue;
    with.clients.options = with.servers.options = "socket_send_buffer=65536";
    with.clients.idle_timeout = with.servers.idle_timeout = std::chrono::hours(1);  // machines may be slow
    test::gateway_service_on_threads::open(with);
  }
  void flood(std::uint32_t server_id) {
    for (int i = 0; i < k_flooders; ++i) floods.emplace_back(client(), server_id);
  }
  void turn() {
    for (auto& one : floods) one.turn();
  }
  // Until nothing is dialled any more, whoever would dial.
  void flood_until_all_wait() {
    std::uint64_t before = 0;
    int quiet = 0;
    ASSERT_TRUE(run_until(
        io,
        [&] {
          turn();
          const auto now = it->stats();
          quiet = std::exchange(before, now.dials.dialled) == now.dials.dialled && now.held_back != 0 ? quiet + 1 : 0;
          return quiet == 20 || now.slow != 0 || now.dials.dialled > k_enough;
        },
        "the end of the dials"));
    ASSERT_LE(before, k_enough) << "nobody waits";
  }
  void everybody_is_well(peer& client, peer& server, std::uint32_t id) {
    const auto number = dial(client, server, id);
    client.send(packet(number, "there"));
    EXPECT_EQ(server.next(), packet(number, "there"));
    server.send(packet(number, "and back"));
    EXPECT_EQ(client.next(), packet(number, "and back"));
    client.say(command::close(number));
    EXPECT_EQ(server.next_command(), command::close(number));
    EXPECT_EQ(client.next_command(), command::close(number));
  }

  std::deque<flooder> floods;
};
INSTANTIATE_TEST_SUITE_P(on_threads, gateway_floods, ::testing::Values(1u, 3u),
                         [](const auto& one) { return std::to_string(one.param); });

TEST_P(gateway_floods, of_dials_wait_for_a_server_that_does_not_read_and_go_on_when_it_does) {
  open();
  peer& deaf = server(7);
  peer& other = server(8);
  peer& good = client();
  flood(7);
  flood_until_all_wait();
  EXPECT_EQ(it->stats().slow, 0u);
  // What was under way from other threads when the queue was half full has come, too.
  EXPECT_LE(it->waiting().first, k_queue + (GetParam() - 1) * (k_on_the_way / batch::k_note_weight));
  EXPECT_LT(it->buffers().stats().bytes_lent, k_most_memory);
  everybody_is_well(good, other, 8);

  const auto before = it->stats().dials.dialled;
  std::set<std::uint32_t> open_now;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        turn();
        take_commands(deaf, [&](const command& said) {
          if (said.type == command_type::connect)
            EXPECT_TRUE(open_now.insert(said.connection).second);
          else
            EXPECT_EQ(open_now.erase(said.connection), 1u);
        });
        return it->stats().dials.dialled > before + 10 * k_queue;
      },
      "more dials"));
  EXPECT_EQ(it->stats().slow, 0u);
  EXPECT_FALSE(deaf.socket().ended());
  EXPECT_LE(open_now.size(), k_flooders * k_at_once);
}

TEST_P(gateway_floods, of_dials_go_to_the_server_that_comes_again_while_its_old_connection_does_not_read) {
  open();
  peer& before = server(7);
  flood(7);
  flood_until_all_wait();
  peer& again = knocking();
  login(again, 7, test::k_gateway_key);
  std::size_t heard = 0;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        turn();
        take_commands(again, [&](const command& said) { heard += said.type == command_type::connect ? 1 : 0; });
        return heard > 2 * k_queue;
      },
      "dials at the new connection"));
  EXPECT_EQ(it->stats().slow, 0u);
  EXPECT_FALSE(before.socket().ended());
}

TEST_P(gateway_floods, of_dials_end_with_their_server_and_are_refused_from_then_on) {
  open();
  peer& deaf = server(7);
  flood(7);
  flood_until_all_wait();
  deaf.socket().close();
  ASSERT_TRUE(run_until(
      io, [&] { return it->stats().dials.refused_unknown != 0; }, "refusals"));
  EXPECT_EQ(it->stats().clients, std::size_t{k_flooders});
}

TEST_P(gateway_floods, of_more_dials_than_may_be_under_way_come_to_a_server_that_reads_each_of_them_once) {
  constexpr std::uint32_t each = 3 * k_on_the_way / batch::k_note_weight / 2;
  open(each);
  peer& there = server(7);
  std::string dials;
  for (std::uint32_t i = 0; i < each; ++i) dials += wire(command::dial(7));
  std::deque<std::pair<peer*, std::string_view>> dialling;
  for (int i = 0; i < k_flooders; ++i) dialling.emplace_back(&client(), dials);
  std::set<std::uint32_t> connected;
  std::size_t accepted = 0;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        for (auto& [who, flight] : dialling) {
          if (const auto n = who->socket().try_send(flight); n > 0) flight.remove_prefix(static_cast<std::size_t>(n));
          take_commands(*who, [&](const command& said) { accepted += said.type == command_type::accept ? 1 : 0; });
        }
        take_commands(there, [&](const command& said) {
          EXPECT_EQ(said.type, command_type::connect);
          EXPECT_TRUE(connected.insert(said.connection).second);
        });
        return connected.size() == k_flooders * each && accepted == connected.size();
      },
      "all dials"));
  EXPECT_EQ(it->stats().slow, 0u);
}

TEST_P(gateway_floods, of_a_servers_dials_are_turned_down_where_a_client_does_not_read_and_close_nobody) {
  open();
  peer& deaf = client();  // its ID is 1
  peer& other = server(8);
  floods.emplace_back(server(7), 1, false);
  ASSERT_TRUE(run_until(
      io,
      [&] {
        turn();
        return floods.front().turned_down() > 10 * k_queue || it->stats().slow != 0;
      },
      "refusals"));
  EXPECT_EQ(it->stats().slow, 0u);
  EXPECT_GE(it->stats().dials.refused_limit, 10 * k_queue);
  EXPECT_LE(it->waiting().first, 2 * k_queue);
  // Once it reads it is dialled again, and can dial.
  std::set<std::uint32_t> open_now;
  bool well = false;
  deaf.say(command::ping());
  ASSERT_TRUE(run_until(
      io,
      [&] {
        take_commands(deaf, [&](const command& said) {
          if (said.type == command_type::connect) {
            EXPECT_TRUE(open_now.insert(said.connection).second);
          } else if (said.type == command_type::close) {
            EXPECT_EQ(open_now.erase(said.connection), 1u);
          }
          well = well || said.type == command_type::ping;
        });
        return well;
      },
      "all that waited"));
  EXPECT_GT(open_now.size(), k_queue / 2);
  other.say(command::dial(1));
  EXPECT_EQ(other.next_command()->type, command_type::accept);
}

TEST_P(gateway_floods, of_refused_dials_close_who_does_not_read_the_answers_and_nobody_else) {
  open();
  peer& there = server(7);
  peer& good = client();
  const std::uint32_t nobody = 99;
  peer& bad = client();
  std::string many, flight;
  for (int i = 0; i < 1000; ++i) many += wire(command::dial(nobody));
  std::uint64_t most = 0;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        for (ssize_t n = 1; n > 0; flight.erase(0, static_cast<std::size_t>(std::max<ssize_t>(n, 0)))) {
          if (flight.empty()) flight = many;
          n = bad.socket().try_send(flight);
        }
        most = std::max(most, it->buffers().stats().bytes_lent);
        return it->stats().slow != 0;
      },
      "the limit"));
  EXPECT_TRUE(bad.is_closed());
  EXPECT_LT(most, k_most_memory);
  EXPECT_EQ(it->stats().slow, 1u);
  everybody_is_well(good, there, 7);
}

}  // namespace
}  // namespace ferry::gateway
