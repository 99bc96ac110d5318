// Numbers of clients and of virtual connections on several threads, where they come round.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "gateway/commons.hpp"
#include "testing/gateway_by_hand.hpp"

namespace ferry::gateway {
namespace {

using codec::gateway::command;
using session::gateway_role;
using answer = session::gateway_directory::answer;

constexpr std::uint32_t k_servers = 3;

class gateway_commons : public ::testing::Test {
 protected:
  static commons of(std::uint32_t first, std::uint32_t last = UINT32_MAX) {
    settings with;
    with.threads = 3;
    with.first_client = with.first_connection = first;
    with.last_connection = last;
    return commons(with);
  }
  // Threads that begin at once and do the same.
  template <class What>
  static void on_three_threads(What what) {
    std::atomic<std::size_t> there{0};
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < 3; ++i)
      all.emplace_back([&, i] {
        for (++there; there != 3;) std::this_thread::yield();
        what(i);
      });
    for (auto& one : all) one.join();
  }
};

TEST_F(gateway_commons, number_clients_of_three_threads_around_the_end_each_once_and_none_0) {
  auto all = of(UINT32_MAX - 500);
  std::vector<std::uint32_t> given[3];
  on_three_threads([&](std::size_t thread) {
    for (int i = 0; i < 1000; ++i) given[thread].push_back(all.add_client({thread, nullptr}));
  });
  std::set<std::uint32_t> once;
  for (const auto& some : given) once.insert(some.begin(), some.end());
  EXPECT_EQ(once.size(), 3000u);
  EXPECT_FALSE(once.contains(0));
  EXPECT_TRUE(once.contains(UINT32_MAX - 500) && once.contains(UINT32_MAX) && once.contains(1) && once.contains(2499));
}

TEST_F(gateway_commons, give_no_number_twice_at_a_time_to_three_threads_wherever_it_comes_round) {
  constexpr std::uint32_t last = 64;
  for (const auto& [first, end] : {std::pair{UINT32_MAX - 10'000, UINT32_MAX}, {1u, last}}) {
    auto all = of(first, end);
    for (std::uint32_t id = 1; id <= k_servers; ++id) all.add_server({id - 1, nullptr}, id);
    std::vector<std::atomic<bool>> used(end == last ? last + 1 : 1u << 17);
    std::atomic<std::uint32_t> lowest{UINT32_MAX}, highest{0};
    const auto place = [&](std::uint32_t number) -> std::atomic<bool>& { return used[number % used.size()]; };
    const auto give_back = [&](std::uint32_t number) {
      place(number) = false;  // before it may be given again
      all.release(number);
    };
    on_three_threads([&, thread_rounds = 20'000](std::size_t thread) {
      std::vector<std::uint32_t> mine;
      std::minstd_rand chance(static_cast<std::uint32_t>(thread) + 1);
      for (int i = 0; i < thread_rounds; ++i) {
        const auto made = all.dial(thread, gateway_role::server, 1 + static_cast<std::uint32_t>(i) % k_servers);
        ASSERT_EQ(made.what, answer::found) << i;
        ASSERT_NE(made.number, 0u);
        ASSERT_FALSE(place(made.number).exchange(true)) << made.number << " was given twice";
        if (made.to.thread != thread) all.release(made.number);  // the other half has, and that is not enough
        mine.push_back(made.number);
        for (auto seen = lowest.load(); made.number < seen && !lowest.compare_exchange_weak(seen, made.number);) {
        }
        for (auto seen = highest.load(); made.number > seen && !highest.compare_exchange_weak(seen, made.number);) {
        }
        if (mine.size() < 10) continue;
        const auto one = mine[chance() % mine.size()];
        std::erase(mine, one);
        ASSERT_FALSE(all.is_of_others(thread, one));
        give_back(one);
      }
      for (const auto one : mine) give_back(one);
    });
    EXPECT_FALSE(all.has_connections());
    EXPECT_EQ(lowest, 1u);
    EXPECT_EQ(highest, end);
  }
}

TEST_F(gateway_commons, refuse_dials_when_half_of_the_numbers_are_in_use) {
  auto all = of(1, 64);
  all.add_server({0, nullptr}, 7);
  for (int i = 0; i < 33; ++i) ASSERT_EQ(all.dial(1, gateway_role::server, 7).what, answer::found) << i;
  EXPECT_EQ(all.dial(1, gateway_role::server, 7).what, answer::limit);
}

TEST_F(gateway_commons, give_no_number_again_at_once_that_both_threads_have_released) {
  auto all = of(1, 64);
  all.add_server({0, nullptr}, 7);
  ASSERT_EQ(all.dial(1, gateway_role::server, 7).number, 1u);
  for (std::uint32_t number = 2; number <= 64; ++number) {
    ASSERT_EQ(all.dial(0, gateway_role::server, 7).number, number);
    all.release(number);
  }
  all.release(1);
  all.release(1);
  EXPECT_EQ(all.dial(1, gateway_role::server, 7).number, 2u);  // it would be the turn of 1
}

class gateway_around_the_end : public test::gateway_service {};

TEST_F(gateway_around_the_end, numbers_both_kinds_on_three_threads_and_brings_packets_to_their_ends) {
  settings with;
  with.threads = 3;
  with.client_max_conn = 100;
  with.first_client = UINT32_MAX - 2;
  with.first_connection = UINT32_MAX - 20;
  open(with);
  test::gateway_peer& s = server(7);
  std::vector<test::gateway_peer*> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(&client());
  std::uint32_t number = UINT32_MAX - 20, id = UINT32_MAX - 2;
  std::vector<std::pair<std::uint32_t, test::gateway_peer*>> open_ones;
  for (auto* const one : clients) {
    for (int i = 0; i < 10; ++i) {
      one->say(command::dial(7));
      EXPECT_EQ(one->next_command(), command::accept(number, 7));
      EXPECT_EQ(s.next_command(), command::connect(number, id));
      open_ones.emplace_back(number, one);
      if (++number == 0) ++number;
    }
    if (++id == 0) ++id;
  }
  EXPECT_EQ(id, 4u);
  EXPECT_EQ(number, 40u);
  for (const auto& [one, whose] : open_ones) {
    whose->send(test::packet(one, "up " + std::to_string(one)));
    EXPECT_EQ(s.next(), test::packet(one, "up " + std::to_string(one)));
    s.send(test::packet(one, "down " + std::to_string(one)));
    EXPECT_EQ(whose->next(), test::packet(one, "down " + std::to_string(one)));
  }
  s.say(command::dial(UINT32_MAX));  // a client, by its ID on this side of the end
  EXPECT_EQ(s.next_command(), command::accept(number, UINT32_MAX));
  EXPECT_EQ(clients[2]->next_command(), command::connect(number, 7));
  s.say(command::dial(1));  // and on the other one
  EXPECT_EQ(s.next_command(), command::accept(number + 1, 1));
  EXPECT_EQ(clients[3]->next_command(), command::connect(number + 1, 7));
}

}  // namespace
}  // namespace ferry::gateway
