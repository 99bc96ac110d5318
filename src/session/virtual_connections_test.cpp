#include "session/virtual_connections.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "testing/hex.hpp"

namespace ferry::session {
namespace {

using codec::gateway::command;
using codec::gateway::encode;
using codec::gateway::packet_decoder;

struct member : gateway_member {
  std::vector<command> told;
  std::vector<command> take() { return std::exchange(told, {}); }
};

struct world final : gateway_commands {
  explicit world(const virtual_connection_limits& limits = {}, const gateway_numbering& numbers = {})
      : table(limits, numbers) {}
  void tell(gateway_member& to, const command& what) override {
    static_cast<member&>(to).told.push_back(what);
    order.push_back(&to);
  }
  bool takes_dial(gateway_member& to) override { return &to != full; }
  member& client() {
    EXPECT_TRUE(table.add_client(all.emplace_back()));
    return all.back();
  }
  member& server(std::uint32_t id) {
    EXPECT_TRUE(table.add_server(all.emplace_back(), id));
    return all.back();
  }
  result<gateway_member*> say(member& from, const command& what) {
    const auto wire = encode(what);
    return table.on_packet(from, *packet_decoder(64).next(wire.view()), *this);
  }
  result<gateway_member*> send(member& from, std::uint32_t connection, bytes message = {}) {
    return table.on_packet(from, {8 + message.size(), 8 + message.size(), connection, message}, *this);
  }
  /// A virtual connection of both, of which both have been told.
  std::uint32_t joined(member& from, std::uint32_t to) {
    EXPECT_TRUE(say(from, command::dial(to)));
    const auto number = from.told.empty() ? 0 : from.told.back().connection;
    for (auto& one : all) one.told.clear();
    order.clear();
    return number;
  }

  virtual_connections table;
  gateway_member* full = nullptr;  // has no room
  std::deque<member> all;
  std::vector<gateway_member*> order;  // who was told, in the order of telling
};

using commands = std::vector<command>;

TEST(gateway_dial, of_a_client_opens_a_virtual_connection_and_the_client_is_told_first) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  ASSERT_TRUE(w.say(client, command::dial(7)));
  EXPECT_EQ(client.told, commands{command::accept(1, 7)});
  EXPECT_EQ(server.told, commands{command::connect(1, client.id())});
  EXPECT_EQ(w.order, (std::vector<gateway_member*>{&client, &server}));
}

TEST(gateway_dial, of_a_server_opens_one_too_and_the_client_is_told_first) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  ASSERT_TRUE(w.say(server, command::dial(client.id())));
  EXPECT_EQ(client.told, commands{command::connect(1, 7)});
  EXPECT_EQ(server.told, commands{command::accept(1, client.id())});
  EXPECT_EQ(w.order, (std::vector<gateway_member*>{&client, &server}));
}

TEST(gateway_dial, to_nobody_is_refused) {
  world w;
  member& client = w.client();
  member& server = w.server(7);
  ASSERT_TRUE(w.say(client, command::dial(99)));
  EXPECT_EQ(client.told, commands{command::refuse(99)});
  ASSERT_TRUE(w.say(server, command::dial(2)));
  EXPECT_EQ(server.told, commands{command::refuse(2)});
  EXPECT_EQ(w.table.counts().refused_unknown, 2u);
  EXPECT_EQ(w.table.size(), 0u);
}

TEST(gateway_dial, knows_clients_and_servers_by_numbers_of_their_own) {
  world w;
  member& client = w.client();
  ASSERT_EQ(client.id(), 1u);
  ASSERT_TRUE(w.say(client, command::dial(1)));  // no server 1, though a client 1
  EXPECT_EQ(client.take(), commands{command::refuse(1)});
  member& server = w.server(1);
  ASSERT_TRUE(w.say(client, command::dial(1)));
  EXPECT_EQ(client.told, commands{command::accept(1, 1)});
  EXPECT_EQ(server.told, commands{command::connect(1, 1)});
}

TEST(gateway_dial, to_somebody_who_leaves_is_refused_and_so_are_his_own) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  w.table.leave(server);
  ASSERT_TRUE(w.say(client, command::dial(7)));
  EXPECT_EQ(client.told, commands{command::refuse(7)});
  ASSERT_TRUE(w.say(server, command::dial(1)));
  EXPECT_EQ(server.told, commands{command::refuse(1)});
}

TEST(gateway_dial, above_the_limit_of_a_client_is_refused_until_one_of_his_ends) {
  world w({.max_per_client = 2});
  w.server(7);
  member& client = w.client();
  const auto first = w.joined(client, 7);
  w.joined(client, 7);
  ASSERT_TRUE(w.say(client, command::dial(7)));
  EXPECT_EQ(client.take(), commands{command::refuse(7)});
  ASSERT_TRUE(w.say(client, command::close(first)));
  client.told.clear();
  ASSERT_TRUE(w.say(client, command::dial(7)));
  EXPECT_EQ(client.told, commands{command::accept(3, 7)});
  EXPECT_EQ(w.table.counts().refused_limit, 1u);
}

TEST(gateway_dial, to_who_has_no_room_is_refused_and_takes_no_number) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  w.full = &client;
  ASSERT_TRUE(w.say(server, command::dial(1)));
  EXPECT_EQ(server.take(), commands{command::refuse(1)});
  EXPECT_EQ(client.told, commands{});
  EXPECT_EQ(w.table.counts().refused_limit, 1u);
  w.full = nullptr;
  ASSERT_TRUE(w.say(server, command::dial(1)));
  EXPECT_EQ(client.told, commands{command::connect(1, 7)});
}

TEST(gateway_dial, of_servers_counts_for_the_client_but_is_not_refused) {
  world w({.max_per_client = 1});
  member& server = w.server(7);
  member& client = w.client();
  w.joined(server, client.id());
  w.joined(server, client.id());
  EXPECT_EQ(client.connections(), 2u);
  ASSERT_TRUE(w.say(client, command::dial(7)));
  EXPECT_EQ(client.told, commands{command::refuse(7)});
}

TEST(gateway_dial, above_the_limit_of_all_is_refused) {
  world w({.max_connections = 3});
  member& server = w.server(7);
  for (int i = 0; i < 3; ++i) w.joined(w.client(), 7);
  member& last = w.client();
  ASSERT_TRUE(w.say(last, command::dial(7)));
  EXPECT_EQ(last.told, commands{command::refuse(7)});
  ASSERT_TRUE(w.say(server, command::dial(last.id())));
  EXPECT_EQ(server.told, commands{command::refuse(last.id())});
}

TEST(gateway_dial, after_the_stop_of_dials_is_refused_while_others_go_on) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  const auto number = w.joined(client, 7);
  w.table.stop_dials();
  ASSERT_TRUE(w.say(client, command::dial(7)));
  EXPECT_EQ(client.told, commands{command::refuse(7)});
  EXPECT_EQ(*w.send(client, number), &server);
  EXPECT_EQ(w.table.counts().refused_stopping, 1u);
}

TEST(gateway_members, above_the_limit_are_not_taken) {
  world w({.max_members = 2});
  w.client();
  w.server(7);
  member late;
  EXPECT_EQ(w.table.add_client(late).error(), errc::busy);
  EXPECT_EQ(w.table.add_server(late, 8).error(), errc::busy);
}

TEST(gateway_members, a_client_that_left_has_its_number_taken_by_nobody_else) {
  world w;
  member& first = w.client();
  w.table.remove(first, w);
  EXPECT_EQ(w.client().id(), 2u);
}

TEST(gateway_members, client_numbers_wrap_around_without_zero_and_without_one_in_use) {
  world w({}, {.first_client = UINT32_MAX});
  EXPECT_EQ(w.client().id(), UINT32_MAX);
  EXPECT_EQ(w.client().id(), 1u);
  EXPECT_EQ(w.client().id(), 2u);
  w.table.renumber({.first_client = UINT32_MAX});
  EXPECT_EQ(w.client().id(), 3u);
}

TEST(gateway_close, of_either_end_is_told_to_both_and_the_number_is_gone) {
  for (const bool by_client : {true, false}) {
    world w;
    member& server = w.server(7);
    member& client = w.client();
    const auto number = w.joined(client, 7);
    ASSERT_TRUE(w.say(by_client ? client : server, command::close(number)));
    EXPECT_EQ(client.take(), commands{command::close(number)});
    EXPECT_EQ(server.take(), commands{command::close(number)});
    EXPECT_EQ(w.table.size(), 0u);
    EXPECT_EQ(client.connections() + server.connections(), 0u);
    ASSERT_TRUE(w.say(by_client ? server : client, command::close(number)));  // both at once
    EXPECT_TRUE(client.told.empty() && server.told.empty());
  }
}

TEST(gateway_close, of_somebody_elses_virtual_connection_breaks_the_protocol_and_harms_nobody) {
  world w;
  member& server = w.server(7);
  member& other_server = w.server(8);
  member& client = w.client();
  member& thief = w.client();
  const auto number = w.joined(client, 7);
  for (member* one : {&thief, &other_server}) EXPECT_EQ(w.say(*one, command::close(number)).error(), errc::protocol);
  EXPECT_TRUE(w.order.empty());
  EXPECT_EQ(*w.send(client, number), &server);
}

TEST(gateway_close, of_a_number_that_never_was_is_ignored) {
  world w;
  member& client = w.client();
  EXPECT_EQ(*w.say(client, command::close(5)), nullptr);
  EXPECT_EQ(*w.say(client, command::close(0)), nullptr);
  EXPECT_TRUE(client.told.empty());
}

TEST(gateway_packet_rules, a_packet_reaches_the_other_end_alone) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  const auto number = w.joined(client, 7);
  EXPECT_EQ(*w.send(client, number), &server);
  EXPECT_EQ(*w.send(server, number), &client);
  EXPECT_TRUE(w.order.empty());
}

TEST(gateway_packet_rules, a_packet_for_nobody_is_answered_with_close) {
  world w;
  member& client = w.client();
  EXPECT_EQ(*w.send(client, 4242), nullptr);
  EXPECT_EQ(client.told, commands{command::close(4242)});
  EXPECT_EQ(w.table.counts().unknown_packets, 1u);
}

TEST(gateway_packet_rules, a_packet_for_others_breaks_the_protocol_and_harms_nobody) {
  world w;
  w.server(7);
  member& other_server = w.server(8);
  member& client = w.client();
  member& thief = w.client();
  const auto number = w.joined(client, 7);
  for (member* one : {&thief, &other_server}) EXPECT_EQ(w.send(*one, number).error(), errc::protocol);
  EXPECT_TRUE(w.order.empty());
}

TEST(gateway_packet_rules, a_command_of_the_gateway_from_a_member_breaks_the_protocol) {
  world w;
  member& client = w.client();
  for (const auto& what : {command::accept(1, 1), command::connect(1, 1), command::refuse(1)})
    EXPECT_EQ(w.say(client, what).error(), errc::protocol) << to_string(what.type);
  EXPECT_TRUE(client.told.empty());
}

TEST(gateway_packet_rules, a_malformed_command_breaks_the_protocol) {
  world w;
  member& client = w.client();
  EXPECT_EQ(w.send(client, 0).error(), errc::protocol);
  EXPECT_EQ(w.send(client, 0, test::from_hex("06")).error(), errc::protocol);
  EXPECT_EQ(w.send(client, 0, test::from_hex("00010000")).error(), errc::protocol);
  EXPECT_TRUE(client.told.empty());
}

TEST(gateway_packet_rules, a_ping_comes_back) {
  world w;
  member& server = w.server(7);
  ASSERT_TRUE(w.say(server, command::ping()));
  EXPECT_EQ(server.told, commands{command::ping()});
}

TEST(gateway_end, of_a_member_ends_its_virtual_connections_of_which_the_others_are_told) {
  world w;
  member& server = w.server(7);
  member& client = w.client();
  member& other_client = w.client();
  const auto a = w.joined(client, 7);
  const auto b = w.joined(server, client.id());
  const auto c = w.joined(other_client, 7);
  w.table.remove(client, w);
  EXPECT_TRUE(client.told.empty());
  EXPECT_TRUE(other_client.told.empty());
  const std::set<std::uint32_t> closed{server.told.at(0).connection, server.told.at(1).connection};
  EXPECT_EQ(closed, (std::set{a, b}));
  EXPECT_EQ(*w.send(server, c), &other_client);
  EXPECT_EQ(w.table.size(), 1u);
  w.table.remove(client, w);  // once is enough
  EXPECT_EQ(server.told.size(), 2u);
}

TEST(gateway_end, of_the_gateway_closes_all_and_tells_both_ends) {
  world w;
  member& server = w.server(7);
  std::vector<member*> clients;
  for (int i = 0; i < 5; ++i) w.joined(*clients.emplace_back(&w.client()), 7);
  w.table.close_all(w);
  EXPECT_EQ(server.told.size(), 5u);
  for (const auto* one : clients) EXPECT_EQ(one->told.size(), 1u);
  EXPECT_EQ(w.table.size(), 0u);
}

TEST(gateway_server, that_comes_again_takes_new_dials_while_the_old_virtual_connections_stay) {
  world w;
  member& before = w.server(7);
  member& client = w.client();
  const auto old = w.joined(client, 7);
  member& again = w.server(7);
  const auto fresh = w.joined(client, 7);
  EXPECT_EQ(*w.send(client, old), &before);
  EXPECT_EQ(*w.send(client, fresh), &again);
  w.table.remove(before, w);  // its end does not take the new one's name away
  EXPECT_EQ(client.take(), commands{command::close(old)});
  EXPECT_EQ(*w.send(client, w.joined(client, 7)), &again);
  EXPECT_EQ(*w.send(again, fresh), &client);
}

TEST(gateway_numbers, wrap_around_without_zero_and_without_one_in_use) {
  world w({.max_per_client = 100}, {.first_connection = UINT32_MAX - 1});
  w.server(7);
  member& client = w.client();
  EXPECT_EQ(w.joined(client, 7), UINT32_MAX - 1);
  EXPECT_EQ(w.joined(client, 7), UINT32_MAX);
  EXPECT_EQ(w.joined(client, 7), 1u);
  w.joined(client, 7);
  ASSERT_TRUE(w.say(client, command::close(1)));
  w.table.renumber({.first_connection = UINT32_MAX - 1});
  EXPECT_EQ(w.joined(client, 7), 1u);
  EXPECT_EQ(w.joined(client, 7), 3u);
}

TEST(gateway_numbers, with_a_secret_come_in_another_order_each_once) {
  const gateway_numbering secret{{1, 2, 3, 4}};
  world w({.max_per_client = 70000}, secret);
  w.server(7);
  member& client = w.client();
  std::set<std::uint32_t> given;
  std::uint32_t last = 0;
  int following = 0;
  for (int i = 0; i < 66000; ++i) {
    const auto number = w.joined(client, 7);
    EXPECT_NE(number, 0u);
    EXPECT_TRUE(given.insert(number).second);
    following += number == last + 1 ? 1 : 0;
    last = number;
  }
  EXPECT_LT(following, 10);
  EXPECT_GT(*given.rbegin(), 4'000'000'000u);
}

TEST(gateway_numbers, are_not_given_again_at_once_when_their_turn_comes_as_they_are_free) {
  world w({.max_connections = 32}, {.last_connection = 64});
  w.server(7);
  member& client = w.client();
  const auto next = [&] {
    const auto number = w.joined(client, 7);
    EXPECT_TRUE(w.say(client, command::close(number)));
    client.take();
    return number;
  };
  EXPECT_EQ(w.joined(client, 7), 1u);
  for (std::uint32_t number = 2; number <= 64; ++number) ASSERT_EQ(next(), number);
  ASSERT_TRUE(w.say(client, command::close(1)));  // whose turn it is now
  client.take();
  for (int round = 0; round < 2; ++round) {
    for (std::uint32_t number = 2; number <= 64; ++number) ASSERT_EQ(next(), number) << round;
    ASSERT_EQ(next(), 1u) << "a number is lost";
  }
}

TEST(gateway_numbers, with_a_secret_rest_too_until_a_known_count_of_others_was_given) {
  const gateway_numbering order{{1, 2, 3, 4}};
  const auto is_used = [](std::uint32_t) { return false; };
  gateway_numbers all(order);
  std::vector<std::uint32_t> in_order;
  for (std::uint32_t i = 0; i < gateway_numbers::k_rest + 1; ++i) in_order.push_back(all.next(is_used));
  for (const std::size_t freed : {std::size_t{0}, std::size_t{4711}, in_order.size() - 2, in_order.size() - 1}) {
    gateway_numbers it(order);
    it.given_back(in_order[freed]);
    const bool rests = freed < gateway_numbers::k_rest;
    for (std::size_t i = 0; i < in_order.size(); ++i) {
      if (rests && i == freed) continue;
      ASSERT_EQ(it.next(is_used), in_order[i]) << freed;
    }
  }
}

TEST(gateway_transcript, is_what_the_table_says_to_the_same_events) {
  world w;
  member* client = nullptr;
  member* server = nullptr;
  std::map<std::string, std::vector<std::byte>> said;  // by our side, not yet found in the transcript
  const auto collect = [&] {
    for (auto [name, who] : {std::pair("client", client), std::pair("server", server)})
      if (who != nullptr)
        for (const auto& one : who->take()) {
          const auto wire = encode(one);
          said[name].insert(said[name].end(), wire.view().begin(), wire.view().end());
        }
  };
  std::size_t compared = 0;
  for (const auto& line : test::recorded_conversation(FERRY_SOURCE_DIR "/tests/interop/data/gateway.jsonl")) {
    if (line.what == "challenge") continue;
    if (line.what.starts_with("md5")) {
      server = &w.server(7);
      client = &w.client();
      continue;
    }
    member& who = line.connection == "client" ? *client : *server;
    if (line.direction.starts_with("G")) {  // what the gateway said
      auto& ours = said[line.connection];
      ASSERT_GE(ours.size(), line.data.size()) << line.what;
      EXPECT_EQ(test::to_hex(bytes(ours).first(line.data.size())), test::to_hex(line.data)) << line.what;
      ours.erase(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(line.data.size()));
      ++compared;
    } else if (line.data.empty()) {  // the server's end
      w.table.remove(who, w);
      server = nullptr;
      collect();
    } else {
      const auto packet = packet_decoder(64).next(line.data);
      ASSERT_TRUE(packet && packet->consumed == line.data.size()) << line.what;
      const auto to = w.table.on_packet(who, *packet, w);
      ASSERT_TRUE(to) << line.what;
      collect();
      auto& out = said[*to == client ? "client" : "server"];
      if (*to != nullptr) out.insert(out.end(), line.data.begin(), line.data.end());
    }
  }
  EXPECT_EQ(compared, 12u);
  for (const auto& [name, rest] : said) EXPECT_TRUE(rest.empty()) << name;
}

}  // namespace
}  // namespace ferry::session
