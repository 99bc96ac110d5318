#include "session/service_routes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace ferry::session {
namespace {

struct went {
  std::vector<service_address> to;
  std::vector<undelivered> not_to;
};

class service_routes_test : public ::testing::Test {
 protected:
  // One entity of that service, with an instance on each of these pipes; the first one is the main one.
  std::uint32_t add(std::uint32_t entity, std::uint32_t service, std::vector<std::uint32_t> pipes = {0},
                    const service_instance& what = {}) {
    const auto slot = *table.add({entity, service, 4});
    for (const auto pipe : pipes) table.join({slot, pipe}, what);
    return slot;
  }
  went send(const service_destination& to, service_address from = {}, std::uint64_t random = 0,
            std::uint64_t set_version = 0) {
    went made;
    service_route head;
    head.to = to;
    head.to_set_version = set_version;
    table.route(from, head, random, made.to, made.not_to);
    return made;
  }
  static std::vector<service_address> only(service_address one) { return {one}; }
  static void expect_nobody(const went& what, unroutable why, std::uint32_t whom) {
    EXPECT_TRUE(what.to.empty());
    ASSERT_EQ(what.not_to.size(), 1u);
    EXPECT_EQ(what.not_to[0].why, why) << to_string(what.not_to[0].why);
    EXPECT_EQ(what.not_to[0].whom, whom);
  }
  service_routes table;
};

TEST_F(service_routes_test, hand_an_entity_its_messages_at_its_main_instance) {
  const auto slot = add(101, 7, {2, 0});
  EXPECT_EQ(send(to_entity{101}).to, only({slot, 2}));
  table.lead({slot, 0});
  EXPECT_EQ(send(to_entity{101}).to, only({slot, 0}));
}

TEST_F(service_routes_test, tell_by_their_version_that_a_message_may_go_another_way) {
  const auto slot = add(101, 7, {2, 0});
  auto before = table.version();
  const auto is_another = [&] { return std::exchange(before, table.version()) != table.version(); };
  (void)send(to_entity{101});
  EXPECT_FALSE(is_another());
  table.lead({slot, 0});
  EXPECT_TRUE(is_another());
  table.set_health({slot, 0}, instance_health::fast_exit);
  EXPECT_TRUE(is_another());
  EXPECT_TRUE(table.elect(slot));
  EXPECT_TRUE(is_another());
  table.set_weight({slot, 0}, {.fixed = 3});
  EXPECT_TRUE(is_another());
  table.leave({slot, 2});
  EXPECT_TRUE(is_another());
  table.join({slot, 2}, {});
  EXPECT_TRUE(is_another());
  (void)add(102, 7, {});
  EXPECT_TRUE(is_another());
  table.remove(slot);
  EXPECT_TRUE(is_another());
}

TEST_F(service_routes_test, say_why_a_message_goes_nowhere) {
  const auto silent = *table.add({5, 7, 1});
  const auto old = add(6, 8, {0}, {.set_version = 3});
  expect_nobody(send(std::monostate()), unroutable::no_destination, 0);
  expect_nobody(send(to_entity{99}), unroutable::unknown_entity, 99);
  expect_nobody(send(to_entity{5}), unroutable::absent, 5);
  expect_nobody(send(to_entity{6}, {}, 0, 4), unroutable::other_version, 6);
  EXPECT_EQ(send(to_entity{6}, {}, 0, 3).to, only({old, 0}));
  expect_nobody(send(to_any{9}), unroutable::unknown_service, 9);
  expect_nobody(send(to_any{7}), unroutable::nobody_suitable, 7);
  expect_nobody(send(to_any{8, {}, 2}), unroutable::nobody_suitable, 8);
  expect_nobody(send(to_all{9}), unroutable::unknown_service, 9);
  expect_nobody(send(to_all{8, 1}), unroutable::nobody_suitable, 8);
  expect_nobody(send(to_other_instance{0}, {old, 0}), unroutable::no_other, 6);
  expect_nobody(send(to_other_instance{1}, {old, 0}), unroutable::wrong_pipe, 6);
  expect_nobody(send(to_other_instance{-1}, {old, 0}), unroutable::wrong_pipe, 6);
  const std::vector<std::int32_t> many(service_routes::k_most_targets + 1, 6);
  expect_nobody(send(to_entities{many}), unroutable::too_many, service_routes::k_most_targets + 1);
  table.join({silent, 0}, {.health = instance_health::fast_exit});
  expect_nobody(send(to_entity{5}), unroutable::absent, 5);
}

TEST_F(service_routes_test, refuse_an_entity_twice_and_pipes_that_cannot_be) {
  add(1, 7);
  EXPECT_EQ(table.add({1, 8, 1}).error(), errc::bad_option);
  EXPECT_EQ(table.add({2, 8, 0}).error(), errc::bad_option);
  EXPECT_EQ(table.add({2, 8, service_routes::k_most_pipes + 1}).error(), errc::bad_option);
}

TEST_F(service_routes_test, forget_an_entity_with_its_instances_and_give_its_slot_again) {
  const auto slot = add(1, 7);
  table.remove(slot);
  expect_nobody(send(to_entity{1}), unroutable::unknown_entity, 1);
  expect_nobody(send(to_any{7}), unroutable::unknown_service, 7);
  EXPECT_EQ(*table.add({2, 7, 4}), slot);
  expect_nobody(send(to_entity{2}), unroutable::absent, 2);
}

TEST_F(service_routes_test, let_the_healthiest_and_then_who_stands_by_follow_a_main_instance_that_left) {
  const auto slot = add(1, 7, {0});
  table.join({slot, 1}, {.health = instance_health::unhealthy, .stands_by = true});
  table.join({slot, 2}, {});
  table.join({slot, 3}, {.stands_by = true});
  EXPECT_TRUE(table.leave({slot, 0}));
  EXPECT_TRUE(table.is_main({slot, 3}));
  EXPECT_TRUE(table.leave({slot, 3}));
  EXPECT_TRUE(table.is_main({slot, 2}));
  EXPECT_FALSE(table.leave({slot, 1}));
  EXPECT_FALSE(table.leave({slot, 2}));
  EXPECT_EQ(table.main_pipe(slot), service_routes::k_most_pipes);
  EXPECT_FALSE(table.elect(slot));
}

TEST_F(service_routes_test, choose_a_main_instance_anew_when_they_are_asked_to) {
  const auto slot = add(1, 7, {2, 1});
  EXPECT_TRUE(table.elect(slot));
  EXPECT_TRUE(table.is_main({slot, 1}));
  table.set_health({slot, 1}, instance_health::fast_exit);
  EXPECT_TRUE(table.elect(slot));
  EXPECT_TRUE(table.is_main({slot, 2}));
  EXPECT_FALSE(table.elect(slot));
}

TEST_F(service_routes_test, let_whoever_comes_or_recovers_follow_a_main_instance_that_exits_fast) {
  const auto slot = add(1, 7, {0}, {.health = instance_health::fast_exit});
  expect_nobody(send(to_entity{1}), unroutable::absent, 1);
  table.join({slot, 1}, {.health = instance_health::fast_exit});
  EXPECT_TRUE(table.is_main({slot, 0})) << "who exits fast too is no better";
  table.join({slot, 2}, {.health = instance_health::unhealthy});
  EXPECT_EQ(send(to_entity{1}).to, only({slot, 2}));
  table.set_health({slot, 2}, instance_health::fast_exit);
  expect_nobody(send(to_entity{1}), unroutable::absent, 1);
  table.set_health({slot, 1}, instance_health::healthy);
  EXPECT_EQ(send(to_entity{1}).to, only({slot, 1}));
}

TEST_F(service_routes_test, choose_by_chance_in_proportion_to_weights_and_only_among_the_healthy) {
  const auto light = add(1, 7), heavy = add(2, 7, {0}, {.weight = {.fixed = 3}});
  const auto ill = add(3, 7, {0}, {.weight = {.fixed = 9}, .health = instance_health::unhealthy});
  const auto leaving = add(4, 7, {0}, {.health = instance_health::graceful_exit});
  std::map<std::uint32_t, int> times;
  std::mt19937_64 chance(1);
  for (int i = 0; i < 40'000; ++i) ++times[send(to_any{7}, {}, chance()).to.at(0).slot];
  EXPECT_NEAR(times[light], 10'000, 500);
  EXPECT_NEAR(times[heavy], 30'000, 500);
  EXPECT_EQ(times[ill] + times[leaving], 0);
  EXPECT_EQ(send(to_entity{3}).to, only({ill, 0})) << "it is asked for by name";
}

TEST_F(service_routes_test, give_less_to_who_reports_load_and_a_little_to_who_is_full) {
  EXPECT_EQ(service_weight{}.effective(), 1000u);
  EXPECT_EQ((service_weight{.fixed = 4, .dynamic = 2}).effective(), 2000u);
  EXPECT_EQ((service_weight{.fixed = -4}).effective(), 1000u);
  EXPECT_EQ((service_weight{.fixed = 4, .load = 75, .capacity = 100}).effective(), 1000u);
  EXPECT_EQ((service_weight{.fixed = 4, .load = 100, .capacity = 100}).effective(), 1u);
  EXPECT_EQ((service_weight{.fixed = 4, .load = 5, .capacity = -1}).effective(), 4000u);
  const auto most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ((service_weight{.fixed = INT32_MAX, .load = 1, .capacity = most}).effective(), INT32_MAX * 1000ull - 1);
}

TEST_F(service_routes_test, move_only_the_keys_of_an_entity_that_leaves_and_move_them_back_when_it_returns) {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t entity = 1; entity <= 8; ++entity) slots.push_back(add(entity, 7));
  const auto owners = [&] {
    std::vector<std::uint32_t> made;
    for (std::uint64_t key = 0; key < 8000; ++key) made.push_back(send(to_any{7, key}).to.at(0).slot);
    return made;
  };
  const auto before = owners();
  for (const auto slot : slots)
    EXPECT_NEAR(static_cast<double>(std::count(before.begin(), before.end(), slot)), 1000, 200);
  table.leave({slots[3], 0});
  const auto without = owners();
  for (std::size_t key = 0; key < before.size(); ++key) {
    EXPECT_EQ(without[key] == before[key], before[key] != slots[3]) << key;
  }
  table.join({slots[3], 2}, {});
  EXPECT_EQ(owners(), before);
}

TEST_F(service_routes_test, hand_a_broadcast_to_all_of_a_zone_but_the_sender) {
  const auto a = add(1, 7, {0}, {.zone = 1}), b = add(2, 7, {1}, {.zone = 2}), c = add(3, 7, {0}, {.zone = 1});
  add(4, 8, {0}, {.zone = 1});
  EXPECT_EQ(send(to_all{7}, {a, 0}).to, (std::vector<service_address>{{b, 1}, {c, 0}}));
  EXPECT_EQ(send(to_all{7, 1}, {b, 1}).to, (std::vector<service_address>{{a, 0}, {c, 0}}));
}

TEST_F(service_routes_test, hand_a_multicast_to_each_entity_once_and_say_which_are_not_there) {
  const auto a = add(1, 7), b = add(2, 8);
  const std::vector<std::int32_t> whom{2, 1, 2, 9};
  const auto made = send(to_entities{whom});
  EXPECT_EQ(made.to, (std::vector<service_address>{{a, 0}, {b, 0}}));
  ASSERT_EQ(made.not_to.size(), 1u);
  EXPECT_EQ(made.not_to[0].whom, 9u);
  const std::vector<std::int32_t> nobody{9, 5, 9, 9};
  EXPECT_EQ(send(to_entities{nobody}).not_to.size(), 2u);
}

TEST_F(service_routes_test, hand_the_other_instance_what_one_forwards_even_while_it_exits) {
  const auto slot = add(1, 7, {0, 3});
  EXPECT_EQ(send(to_other_instance{0}, {slot, 0}).to, only({slot, 3}));
  EXPECT_EQ(send(to_other_instance{3}, {slot, 3}).to, only({slot, 0}));
  table.set_health({slot, 0}, instance_health::fast_exit);
  EXPECT_EQ(send(to_other_instance{3}, {slot, 3}).to, only({slot, 0}));
}

TEST_F(service_routes_test, hand_on_what_names_an_instance_to_that_one_or_to_nobody) {
  const auto slot = add(1, 7, {0, 1, 3});
  const auto hand_on = [&](std::uint32_t pipe, std::uint32_t wanted) {
    went made;
    table.hand_on({slot, pipe}, {static_cast<std::int32_t>(pipe)}, wanted, made.to, made.not_to);
    return made;
  };
  EXPECT_EQ(hand_on(1, 3).to, only({slot, 3})) << "not the main one";
  EXPECT_EQ(hand_on(1, 0).to, only({slot, 0}));
  EXPECT_EQ(hand_on(1, 1).to, only({slot, 0})) << "its own: to the other one";
  for (const std::uint32_t nobody : {2u, 4u, 16u, UINT32_MAX})
    expect_nobody(hand_on(1, nobody), unroutable::no_other, 1);
}

// The same rules in the plainest words.
struct slow_routes {
  struct one {
    std::uint32_t service = 0, main = 99;
    std::map<std::uint32_t, service_instance> pipes;
  };
  std::map<std::uint32_t, one> entities;

  const service_instance* main_of(std::uint32_t entity) const {
    const auto& of = entities.at(entity);
    if (of.main == 99 || of.pipes.at(of.main).health == instance_health::fast_exit) return nullptr;
    return &of.pipes.at(of.main);
  }
  void leave(std::uint32_t entity, std::uint32_t pipe) {
    auto& of = entities.at(entity);
    of.pipes.erase(pipe);
    if (of.main != pipe) return;
    of.main = 99;
    for (const auto health : {instance_health::healthy, instance_health::unhealthy, instance_health::graceful_exit,
                              instance_health::fast_exit})
      for (const bool stands_by : {true, false})
        for (const auto& [at, what] : of.pipes)
          if (of.main == 99 && what.health == health && what.stands_by == stands_by) of.main = at;
  }
  std::vector<std::uint32_t> suitable(std::uint32_t service, std::uint32_t zone, std::uint64_t version) const {
    std::vector<std::uint32_t> made;
    for (const auto& [entity, of] : entities) {
      const auto* main = of.service == service ? main_of(entity) : nullptr;
      if (main == nullptr || (zone != 0 && main->zone != zone)) continue;
      if (version == 0 || main->set_version == version) made.push_back(entity);
    }
    return made;
  }
};

using where = std::pair<std::uint32_t, std::uint32_t>;  // entity, pipe

class both {
 public:
  explicit both(unsigned seed) : chance_(seed) {}

  void step() {
    switch (below(12)) {
      case 0: return add();
      case 1: return remove();
      case 2:
      case 3:
      case 4: return join();
      case 5: return leave();
      case 6: return lead();
      case 7: return change();
      default: return send();
    }
  }
  int sent_to_somebody = 0;

 private:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(chance_() % n); }
  std::uint32_t any() {
    auto at = slow_.entities.begin();
    std::advance(at, below(static_cast<std::uint32_t>(slow_.entities.size())));
    return at->first;
  }
  service_address at(std::uint32_t entity, std::uint32_t pipe) const { return {table_.find(entity), pipe}; }
  service_instance some() {
    return {below(3),
            below(3),
            {static_cast<std::int32_t>(below(4)), static_cast<std::int32_t>(below(2))},
            static_cast<instance_health>(below(4)),
            below(2) == 0};
  }
  void add() {
    const auto entity = below(12), service = below(3);
    const bool is_new = slow_.entities.try_emplace(entity, slow_routes::one{service, 99, {}}).second;
    EXPECT_EQ(table_.add({entity, service, 3}).has_value(), is_new);
  }
  void remove() {
    if (slow_.entities.size() < 9) return;
    const auto entity = any();
    table_.remove(table_.find(entity));
    slow_.entities.erase(entity);
    EXPECT_EQ(table_.find(entity), service_routes::k_most_entities);
  }
  void join() {
    if (slow_.entities.empty()) return;
    const auto entity = any(), pipe = below(3);
    const auto what = some();
    table_.join(at(entity, pipe), what);
    auto& of = slow_.entities[entity];
    of.pipes[pipe] = what;
    succeed(of, pipe);
  }
  static void succeed(slow_routes::one& of, std::uint32_t pipe) {
    const auto exits = [&](std::uint32_t one) { return of.pipes.at(one).health == instance_health::fast_exit; };
    if (of.main == 99 || (exits(of.main) && !exits(pipe))) of.main = pipe;
  }
  void leave() {
    if (slow_.entities.empty()) return;
    const auto entity = any(), pipe = below(3);
    if (!slow_.entities[entity].pipes.contains(pipe)) return;
    table_.leave(at(entity, pipe));
    slow_.leave(entity, pipe);
  }
  void lead() {
    if (slow_.entities.empty()) return;
    const auto entity = any(), pipe = below(3);
    auto& of = slow_.entities[entity];
    if (!of.pipes.contains(pipe)) return;
    table_.lead(at(entity, pipe));
    of.main = pipe;
  }
  void change() {
    if (slow_.entities.empty()) return;
    const auto entity = any(), pipe = below(3);
    auto& of = slow_.entities[entity];
    if (!of.pipes.contains(pipe)) return;
    const auto now = some();
    table_.set_health(at(entity, pipe), of.pipes[pipe].health = now.health);
    succeed(of, pipe);
    table_.set_weight(at(entity, pipe), of.pipes[pipe].weight = now.weight);
  }
  void send() {
    if (slow_.entities.empty()) return;
    const auto from = any(), pipe = below(3);
    service_route head;
    head.to_set_version = below(3) * below(2);
    const auto random = chance_();
    switch (below(5)) {
      case 0: head.to = to_entity{below(12)}; break;
      case 1: head.to = to_any{below(4), {}, below(3) * below(2)}; break;
      case 2: head.to = to_all{below(4), below(3)}; break;
      case 3:
        for (auto& one : whom_) one = static_cast<std::int32_t>(below(12));
        head.to = to_entities{std::span(whom_).first(below(6))};
        break;
      default: head.to = to_other_instance{static_cast<std::int32_t>(below(3))};
    }
    std::vector<service_address> to;
    std::vector<undelivered> not_to;
    table_.route(at(from, pipe), head, random, to, not_to);
    std::set<where> made;
    for (const auto& one : to) EXPECT_TRUE(made.emplace(table_.entity(one.slot).entity, one.pipe).second);
    EXPECT_EQ(made, wanted(from, pipe, head, random));
    EXPECT_TRUE(to.empty() == !not_to.empty() || std::holds_alternative<to_entities>(head.to));
    sent_to_somebody += static_cast<int>(to.size());
  }
  where main_pipe(std::uint32_t entity) { return {entity, slow_.entities.at(entity).main}; }
  bool takes(std::uint32_t entity, std::uint64_t version) {
    if (!slow_.entities.contains(entity)) return false;
    const auto* main = slow_.main_of(entity);
    return main != nullptr && (version == 0 || main->set_version == version);
  }
  std::set<where> wanted(std::uint32_t from, std::uint32_t pipe, const service_route& head, std::uint64_t random) {
    std::set<where> made;
    const auto version = head.to_set_version;
    if (const auto* one = std::get_if<to_entity>(&head.to))
      if (takes(one->entity, version)) made.insert(main_pipe(one->entity));
    if (const auto* any = std::get_if<to_any>(&head.to)) {
      std::vector<std::uint32_t> lots;  // an entity as often as its weight
      for (const auto entity : slow_.suitable(any->service, any->zone, version)) {
        const auto& main = *slow_.main_of(entity);
        const auto& w = main.weight;
        if (main.health == instance_health::healthy)
          lots.insert(lots.end(), static_cast<std::size_t>(std::max(w.dynamic > 0 ? w.dynamic : w.fixed, 1)), entity);
      }
      // Where in [0, 1) the random number lies.
      const auto share = static_cast<long double>(random) / 18446744073709551616.0L;
      if (!lots.empty())
        made.insert(main_pipe(lots[static_cast<std::size_t>(share * static_cast<long double>(lots.size()))]));
    }
    if (const auto* all = std::get_if<to_all>(&head.to))
      for (const auto entity : slow_.suitable(all->service, all->zone, version))
        if (entity != from) made.insert(main_pipe(entity));
    if (const auto* each = std::get_if<to_entities>(&head.to))
      for (const auto entity : each->entities)
        if (takes(static_cast<std::uint32_t>(entity), version))
          made.insert(main_pipe(static_cast<std::uint32_t>(entity)));
    if (const auto* other = std::get_if<to_other_instance>(&head.to); other != nullptr) {
      const auto& of = slow_.entities.at(from);
      if (static_cast<std::uint32_t>(other->pipe) != pipe) return made;
      if (of.main != pipe && of.main != 99) return {{from, of.main}};
      for (const auto& [at, what] : of.pipes)
        if (at != pipe && made.empty()) made.emplace(from, at);
    }
    return made;
  }

  std::mt19937_64 chance_;
  slow_routes slow_;
  service_routes table_;
  std::array<std::int32_t, 6> whom_{};
};

TEST(service_routes_model, do_what_the_slow_table_does_in_long_runs_by_chance) {
  int sent = 0;
  for (unsigned seed = 1; seed <= 100 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    both run(seed);
    for (int i = 0; i < 3000 && !::testing::Test::HasFailure(); ++i) run.step();
    sent += run.sent_to_somebody;
  }
  EXPECT_GT(sent, 10'000);
}

}  // namespace
}  // namespace ferry::session
