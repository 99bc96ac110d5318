// A gateway on several threads, whose clients and servers have threads of their own: what crosses, and who vanishes.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "testing/gateway_by_hand.hpp"
#include "testing/gateway_by_thread.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;
using test::blocking_peer;
using test::packet;
using test::port_of;
using test::wire;

class gateway_threads : public test::gateway_service {
 protected:
  void open(settings with = {}) {
    with.threads = 4;
    with.client_max_conn = 1000;
    with.clients.idle_timeout = with.servers.idle_timeout = std::chrono::hours(1);  // machines may be slow
    test::gateway_service::open(with);
    clients_at = port_of(it->client_url());
    servers_at = port_of(it->server_url());
  }
  void also(std::function<void()> what) {
    ++running;
    threads.emplace_back([this, what = std::move(what)] {
      what();
      --running;
    });
  }
  void wait_for_all() {
    EXPECT_TRUE(test::run_until(
        io, [&] { return running == 0; }, "the other threads", std::chrono::seconds(300)));
    for (auto& one : threads) one.join();
    threads.clear();
  }
  std::uint16_t clients_at = 0, servers_at = 0;
  std::vector<std::thread> threads;
  std::atomic<int> running{0};
  std::atomic<bool> over{false};
};

// Answers everything, and sees to it that one virtual connection brings messages of one dial only. Vanishes after
// `life` messages and comes again; 0: never.
void serve(std::uint16_t port, std::uint32_t id, int life, const std::atomic<bool>& over) {
  while (!over) {
    blocking_peer me(port);
    if (!me.login(id)) return;
    std::map<std::uint32_t, std::string> tags;
    for (int heard = 0; life == 0 || heard < life;) {
      const auto came = me.next();
      if (!came) return;  // the gateway has been closed
      if (came->said) {
        if (came->said->type == command_type::connect) tags[came->said->connection].clear();
        continue;
      }
      ++heard;
      const auto tag = came->message.substr(0, came->message.find('.'));
      ASSERT_TRUE(tags.contains(came->connection)) << came->connection;
      auto& expected = tags[came->connection];
      if (expected.empty()) expected = tag;
      ASSERT_EQ(tag, expected) << "a message of another virtual connection";
      if (!me.send(packet(came->connection, came->message))) return;
    }
  }
}

struct talk_counts {
  std::atomic<int> echoes{0}, refused{0}, cut{0};
};

// Dials, says something, hears the same, closes, and again, without waiting for the last Close.
void talk(std::uint16_t port, const std::string& name, std::uint32_t servers, int rounds, talk_counts& all) {
  blocking_peer me(port);
  std::mt19937 random(static_cast<std::uint32_t>(std::hash<std::string>{}(name)));
  for (int round = 0; round < rounds; ++round) {
    ASSERT_TRUE(me.say(command::dial(static_cast<std::uint32_t>(1 + random() % servers))));
    std::optional<command> answer;
    while (!answer || answer->type == command_type::close) {
      const auto came = me.next();
      ASSERT_TRUE(came) << name << " was closed";
      if (came->said) answer = came->said;  // what else comes belongs to one that was closed
    }
    if (answer->type == command_type::refuse) {
      ++all.refused;
      std::this_thread::yield();
      continue;
    }
    const auto number = answer->connection;
    std::vector<std::string> said;
    std::string flight;
    for (int i = 0; i < 20; ++i) {
      const auto& one = said.emplace_back(name + "-" + std::to_string(round) + "." + std::to_string(i) +
                                          std::string(random() % 8 == 0 ? random() % 20'000 : random() % 100, 'x'));
      flight += packet(number, one);
    }
    ASSERT_TRUE(me.send(flight));
    std::size_t heard = 0;
    bool closed = false;
    while (heard < said.size() && !closed) {
      const auto came = me.next();
      ASSERT_TRUE(came) << name << " was closed";
      closed = came->said && came->said->type == command_type::close && came->said->connection == number;
      if (came->connection != number) continue;
      ASSERT_EQ(came->message, said[heard]) << name;
      ++heard;
    }
    all.echoes += static_cast<int>(heard);
    if (closed)
      ++all.cut;
    else
      ASSERT_TRUE(me.say(command::close(number)));
  }
}

TEST_F(gateway_threads, bring_every_message_to_its_own_end_while_servers_vanish_and_come_again) {
  open();
  talk_counts all;
  std::atomic<int> talking{8};
  for (std::uint32_t id = 1; id <= 4; ++id) also([this, id] { serve(servers_at, id, id % 2 == 0 ? 97 : 0, over); });
  for (int i = 0; i < 8; ++i)
    also([this, i, &all, &talking] {
      talk(clients_at, "c" + std::to_string(i), 4, 60, all);
      if (--talking == 0) over = true;
    });
  EXPECT_TRUE(test::run_until(
      io, [&] { return talking == 0; }, "the talks", std::chrono::seconds(300)));
  const auto now = it->stats();
  EXPECT_EQ(now.breaches, 0u);
  EXPECT_EQ(now.slow, 0u);
  EXPECT_GT(all.echoes, 1000);
  EXPECT_EQ(now.clients_accepted, 8u);
  EXPECT_GE(now.dials.dialled + now.dials.refused_unknown, 8u * 60);
  it.reset();  // which ends the servers
  wait_for_all();
}

TEST_F(gateway_threads, tell_everybody_when_a_server_with_10000_virtual_connections_vanishes) {
  open();
  std::atomic<int> dialled{0};
  std::atomic<bool> there{false};
  also([&] {
    blocking_peer me(servers_at);
    EXPECT_TRUE(me.login(7) && me.is_well());
    there = true;
    while (!over) std::this_thread::yield();
  });
  EXPECT_TRUE(test::run_until(
      io, [&] { return there.load(); }, "the server"));
  for (int i = 0; i < 10; ++i)
    also([this, &dialled] {
      blocking_peer me(clients_at);
      std::string dials;
      for (int one = 0; one < 1000; ++one) dials += wire(command::dial(7));
      ASSERT_TRUE(me.send(dials));
      std::map<std::uint32_t, bool> open;
      while (open.size() < 1000) {
        const auto came = me.next();
        ASSERT_TRUE(came && came->said && came->said->type == command_type::accept);
        open[came->said->connection] = true;
      }
      ++dialled;
      while (!open.empty()) {
        const auto came = me.next();
        ASSERT_TRUE(came && came->said && came->said->type == command_type::close);
        EXPECT_EQ(open.erase(came->said->connection), 1u);
      }
      EXPECT_TRUE(me.is_well());
    });
  EXPECT_TRUE(test::run_until(
      io, [&] { return dialled == 10; }, "the dials"));
  EXPECT_EQ(it->stats().connections, 10'000u);
  over = true;
  wait_for_all();
  EXPECT_EQ(it->stats().connections, 0u);
}

TEST_F(gateway_threads, hold_clients_back_while_a_server_does_not_read_and_lose_nothing) {
  settings with;
  with.when_full = overflow::pause;
  with.servers.send_queue_bytes = 256 * 1024;
  open(with);
  constexpr int messages = 400;
  std::atomic<bool> there{false}, read{false};
  also([&] {
    blocking_peer me(servers_at);
    EXPECT_TRUE(me.login(7) && me.is_well());
    there = true;
    std::map<std::uint32_t, int> next;
    int rest = 4 * messages;
    while (!read) std::this_thread::yield();
    while (rest > 0) {
      const auto came = me.next();
      ASSERT_TRUE(came);
      if (came->said) continue;
      EXPECT_EQ(came->message, std::to_string(next[came->connection]++) + std::string(50'000, 'x'));
      --rest;
    }
    while (running != 1) std::this_thread::yield();  // the clients look whether they are well
  });
  EXPECT_TRUE(test::run_until(
      io, [&] { return there.load(); }, "the server"));
  for (int i = 0; i < 4; ++i)
    also([&] {
      blocking_peer me(clients_at);
      me.say(command::dial(7));
      const auto came = me.next();
      ASSERT_TRUE(came && came->said && came->said->type == command_type::accept);
      for (int m = 0; m < messages; ++m)
        ASSERT_TRUE(me.send(packet(came->said->connection, std::to_string(m) + std::string(50'000, 'x'))));
      EXPECT_TRUE(me.is_well());  // it stays until all was taken
    });
  EXPECT_TRUE(test::run_until(
      io, [&] { return it->stats().held_back >= 4; }, "the limit"));
  // Whoever is not held back would go on.
  std::uint64_t before = 0;
  int quiet = 0;
  EXPECT_TRUE(test::run_until(
      io,
      [&] {
        const auto now = it->stats().forwarded_bytes;
        quiet = std::exchange(before, now) == now ? quiet + 1 : 0;
        return quiet == 20;
      },
      "quiet"));
  EXPECT_LT(it->waiting().second, 32u << 20);
  read = true;
  wait_for_all();
  EXPECT_EQ(it->stats().slow, 0u);
}

TEST_F(gateway_threads, stop_within_the_time_given_while_everybody_talks) {
  open();
  talk_counts all;
  for (std::uint32_t id = 1; id <= 2; ++id) also([this, id] { serve(servers_at, id, 0, over); });
  std::atomic<int> ended{0};
  for (int i = 0; i < 4; ++i)
    also([this, &ended, &all] {
      blocking_peer me(clients_at);
      while (me.say(command::dial(1))) {
        const auto came = me.next();
        if (!came) break;
        if (came->said && came->said->type == command_type::accept) {
          ++all.echoes;
          if (!me.send(packet(came->said->connection, "x.y"))) break;
        }
      }
      ++ended;
    });
  EXPECT_TRUE(test::run_until(
      io, [&] { return all.echoes > 100; }, "talk"));
  bool stopped = false;
  over = true;
  it->stop(std::chrono::milliseconds(100), [&] { stopped = true; });
  EXPECT_TRUE(test::run_until(
      io, [&] { return stopped; }, "the stop"));
  wait_for_all();
  EXPECT_EQ(ended, 4);
}

}  // namespace
}  // namespace ferry::gateway
