#include "session/service_registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "testing/virtual_clock.hpp"

namespace ferry::session {
namespace {

using namespace std::chrono_literals;
using namespace codec::sidecar;

struct link final : service_link {
  std::deque<notice> told;
  std::string ended;  // why
};

class service_registry_test : public ::testing::Test, protected service_commands {
 protected:
  service_registry_test() {
    slot = *registry.add_entity({101, 7, 3});
    other_slot = *registry.add_entity({102, 7, 1});
  }
  void tell(service_link& to, const notice& what) override { static_cast<link&>(to).told.push_back(what); }
  void end(service_link& which, const error& why) override { static_cast<link&>(which).ended = why.text(); }
  std::string unusable(service_address pipe, std::int64_t) override {
    return pipe.pipe == not_held ? "nobody holds its lock" : "";
  }
  void attached(service_address pipe) override { EXPECT_TRUE(read.insert(pipe.pipe).second); }
  void detached(service_address pipe) override { EXPECT_EQ(read.erase(pipe.pipe), 1u); }

  static registration request(std::int32_t pipe, std::uint32_t unique = 1) {
    registration made;
    made.service = "7";
    made.entity = "101";
    made.pipe = pipe;
    made.unique_id = unique;
    made.version = 12;
    return made;
  }
  result<void> hear(link& from, const notice& what) { return registry.on_notice(from, what, clock.now(), *this); }
  void connect(link& who, std::int64_t process) { ASSERT_TRUE(registry.add(who, slot, process, clock.now())); }
  registration_answer ask(link& who, const registration& what) {
    EXPECT_TRUE(hear(who, what));
    return next<registration_answer>(who);
  }
  template <class T>
  static T next(link& who) {
    if (who.told.empty() || !std::holds_alternative<T>(who.told.front())) {
      ADD_FAILURE() << "it was told something else, or nothing";
      return {};
    }
    const auto made = std::get<T>(who.told.front());
    who.told.pop_front();
    return made;
  }
  registration_answer enter(link& who, std::int32_t pipe, const registration& what) {
    connect(who, 1000 + pipe);
    return ask(who, what);
  }
  registration_answer enter(link& who, std::int32_t pipe) { return enter(who, pipe, request(pipe)); }
  std::uint32_t main() const { return registry.routes().main_pipe(slot); }

  test::virtual_clock clock;
  service_registry registry{{.registration_timeout = 3s, .heartbeat_timeout = 15s, .links_per_entity = 4}};
  std::uint32_t slot = 0, other_slot = 0, not_held = 99;
  std::set<std::uint32_t> read;  // pipes
};

constexpr auto k_nobody = service_routes::k_most_pipes;

TEST_F(service_registry_test, registers_a_service_and_tells_it_that_it_is_the_main_instance) {
  link a;
  const auto answer = enter(a, 1);
  EXPECT_EQ(answer.code, 0);
  EXPECT_EQ(answer.is_main, 1);
  EXPECT_EQ(answer.must_migrate, 0);
  EXPECT_EQ(answer.version, 12);
  EXPECT_EQ(main(), 1u);
  EXPECT_EQ(read, std::set<std::uint32_t>{1});
  EXPECT_EQ(registry.on_pipe({slot, 1}), &a);
}

TEST_F(service_registry_test, says_what_is_wrong_with_a_registration_and_takes_a_better_one) {
  link a;
  connect(a, 1);
  auto wrong = request(0);
  wrong.entity = "102";
  auto answer = ask(a, wrong);
  EXPECT_EQ(answer.code, static_cast<int>(registration_refusal::other_service));
  EXPECT_EQ(answer.reason, "this is the directory of service 7, entity 101");
  for (const char* name : {"", "07x", "-7", "99999999999", " 7"}) {
    wrong = request(0);
    wrong.service = name;
    EXPECT_EQ(ask(a, wrong).code, static_cast<int>(registration_refusal::other_service)) << name;
  }
  for (const int pipe : {-1, 3, INT32_MAX})
    EXPECT_EQ(ask(a, request(pipe)).code, static_cast<int>(registration_refusal::no_such_pipe)) << pipe;
  not_held = 0;
  EXPECT_EQ(ask(a, request(0)).code, static_cast<int>(registration_refusal::pipe_unusable));
  not_held = 99;
  wrong = request(0);
  wrong.tags = {"areaX"};
  EXPECT_EQ(ask(a, wrong).code, static_cast<int>(registration_refusal::bad_tag));
  EXPECT_TRUE(read.empty());
  EXPECT_EQ(main(), k_nobody);
  wrong.tags = {"fast", "area9"};
  EXPECT_EQ(ask(a, wrong).code, 0);
  EXPECT_EQ(registry.routes().instance({slot, 0})->zone, 9u);
  EXPECT_EQ(registry.counts().refused, 11u);
}

TEST_F(service_registry_test, keeps_a_pipe_for_the_process_that_has_it) {
  link a, thief;
  enter(a, 0);
  connect(thief, 666);
  EXPECT_EQ(ask(thief, request(0)).code, static_cast<int>(registration_refusal::pipe_taken));
  EXPECT_EQ(registry.on_pipe({slot, 0}), &a);
  EXPECT_EQ(a.ended, "");
}

TEST_F(service_registry_test, takes_a_process_that_comes_again_before_its_end_was_noticed) {
  link a, again;
  enter(a, 0);
  EXPECT_EQ(enter(again, 0).code, 0);
  EXPECT_EQ(a.ended, "its process has registered over another connection");
  EXPECT_EQ(a.where(), service_link::state::over);
  EXPECT_EQ(registry.on_pipe({slot, 0}), &again);
  EXPECT_EQ(read, std::set<std::uint32_t>{0});
}

TEST_F(service_registry_test, answers_heartbeats_and_ends_whom_it_does_not_hear) {
  link a;
  enter(a, 0);
  for (int i = 0; i < 5; ++i) {
    clock.advance(10s);
    ASSERT_TRUE(hear(a, heartbeat{service_health::healthy, 0, 1, 0}));
    EXPECT_EQ(next<heartbeat>(a).unique_id, 1u);
    EXPECT_EQ(registry.tick(clock.now(), *this), clock.now() + 15s);
  }
  clock.advance(15s - 1ns);
  EXPECT_EQ(registry.tick(clock.now(), *this), clock.now() + 1ns);
  clock.advance(1ns);
  registry.tick(clock.now(), *this);
  EXPECT_EQ(a.ended, "no heartbeat in time");
  EXPECT_TRUE(read.empty());
  EXPECT_EQ(main(), k_nobody);
}

TEST_F(service_registry_test, ends_who_connects_and_does_not_register) {
  link a;
  connect(a, 1);
  EXPECT_EQ(registry.tick(clock.now(), *this), clock.now() + 3s);
  clock.advance(3s);
  registry.tick(clock.now(), *this);
  EXPECT_EQ(a.ended, "it did not register in time");
}

TEST_F(service_registry_test, learns_of_health_from_the_registration_and_from_heartbeats) {
  link a;
  auto ill = request(0);
  ill.healthy = false;
  enter(a, 0, ill);
  const auto health = [&] { return registry.routes().instance({slot, 0})->health; };
  EXPECT_EQ(health(), instance_health::unhealthy);
  ASSERT_TRUE(hear(a, heartbeat{service_health::healthy, 0, 1, 0}));
  EXPECT_EQ(health(), instance_health::healthy);
  ASSERT_TRUE(hear(a, heartbeat{service_health::graceful_exit, 0, 1, 0}));
  EXPECT_EQ(health(), instance_health::graceful_exit);
  ASSERT_TRUE(hear(a, heartbeat{service_health::fast_exit, 0, 1, 0}));
  EXPECT_EQ(health(), instance_health::fast_exit);
  EXPECT_EQ(main(), 0u) << "there is no other";
}

TEST_F(service_registry_test, lets_who_recovers_lead_where_all_exit_fast_and_tells_it) {
  link a, b;
  for (auto* one : {&a, &b}) {
    auto standing_by = request(one == &a ? 0 : 1);
    standing_by.wants_main = true;
    enter(*one, standing_by.pipe, standing_by);
    ASSERT_TRUE(hear(*one, heartbeat{service_health::fast_exit, standing_by.pipe, 1, 0}));
    (void)next<heartbeat>(*one);
  }
  ASSERT_EQ(main(), 0u);
  a.told.clear();
  ASSERT_TRUE(hear(b, heartbeat{service_health::healthy, 1, 1, 0}));
  EXPECT_EQ(main(), 1u);
  EXPECT_EQ(next<registration_answer>(b).is_main, 1);
  EXPECT_TRUE(a.told.empty());
}

TEST_F(service_registry_test, lets_another_one_lead_when_the_main_one_exits_fast_or_dies_and_tells_it) {
  link a, b, c;
  enter(a, 0);
  auto standing_by = request(1);
  standing_by.wants_main = true;
  EXPECT_EQ(enter(b, 1, standing_by).is_main, 0);
  ASSERT_TRUE(hear(a, heartbeat{service_health::fast_exit, 0, 1, 0}));
  EXPECT_EQ(main(), 1u);
  EXPECT_EQ(next<registration_answer>(b).is_main, 1);
  EXPECT_EQ(enter(c, 2).is_main, 0);
  registry.remove(b, *this);
  EXPECT_EQ(main(), 2u);
  EXPECT_TRUE(c.told.empty()) << "it did not ask for that";
  EXPECT_EQ(registry.counts().lost, 1u);
}

TEST_F(service_registry_test, weighs_by_registration_and_reported_load) {
  link a;
  auto what = request(0);
  what.static_weight = 4;
  enter(a, 0, what);
  const auto weight = [&] { return registry.routes().instance({slot, 0})->weight.effective(); };
  EXPECT_EQ(weight(), 4000u);
  ASSERT_TRUE(hear(a, load_report{"101", 1, 2}));
  EXPECT_EQ(weight(), 2000u);
  EXPECT_EQ(hear(a, load_report{"102", 1, 2}).error(), errc::protocol);
}

TEST_F(service_registry_test, calls_a_breach_what_speaks_for_others_or_comes_too_early) {
  const std::vector<notice> all{heartbeat{service_health::healthy, 1, 1, 0},
                                heartbeat{service_health::healthy, 0, 2, 0},
                                heartbeat{service_health::healthy, -1, 1, 0},
                                unregistration{"102", 0, 1},
                                unregistration{"101", 1, 1},
                                unregistration{"101", 0, 2},
                                registration_answer{},
                                change_pipe_answer{},
                                request(1)};
  for (const auto& one : all) {
    link a, early;
    enter(a, 0);
    EXPECT_EQ(hear(a, one).error(), errc::protocol) << one.index();
    registry.remove(a, *this);
    connect(early, 1);
    if (!std::holds_alternative<registration>(one)) {
      EXPECT_EQ(hear(early, one).error(), errc::protocol) << one.index();
    }
    registry.remove(early, *this);
  }
  EXPECT_EQ(registry.counts().breaches, 2 * all.size() - 1);
}

TEST_F(service_registry_test, ends_a_link_that_floods_it) {
  link a;
  enter(a, 0);
  clock.advance(1s);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(hear(a, other_notice{205}));
  EXPECT_EQ(hear(a, other_notice{205}).error(), errc::protocol);
  clock.advance(1s);
  EXPECT_TRUE(hear(a, other_notice{205}));
}

TEST_F(service_registry_test, refuses_more_registrations_of_an_entity_in_a_second_than_it_may) {
  registry.set_limits({.registrations_per_second = 3});
  link a, b;
  connect(a, 1000);
  connect(b, 1001);
  EXPECT_EQ(ask(a, request(0)).code, 0);
  EXPECT_EQ(ask(b, request(1)).code, 0);
  EXPECT_EQ(ask(b, request(1)).code, 0);
  const auto refused = ask(a, request(0));
  EXPECT_EQ(refused.code, static_cast<std::int32_t>(registration_refusal::too_many));
  EXPECT_EQ(refused.reason, "more than 3 registrations of this entity in a second; try again later");
  EXPECT_EQ(a.where(), service_link::state::registered) << "as before";
  clock.advance(1s);
  EXPECT_EQ(ask(a, request(0)).code, 0);
}

TEST_F(service_registry_test, takes_no_more_links_of_an_entity_than_it_may) {
  link some[4], more;
  for (auto& one : some) connect(one, 1);
  EXPECT_EQ(registry.add(more, slot, 1, clock.now()).error(), errc::busy);
  EXPECT_TRUE(registry.add(more, other_slot, 1, clock.now()));
}

TEST_F(service_registry_test, reads_a_pipe_no_more_after_unregister_and_waits_for_the_end) {
  link a;
  enter(a, 0);
  ASSERT_TRUE(hear(a, unregistration{"101", 0, 1}));
  EXPECT_TRUE(read.empty());
  EXPECT_EQ(main(), k_nobody);
  EXPECT_TRUE(hear(a, heartbeat{service_health::healthy, 0, 1, 0})) << "it was under way";
  EXPECT_EQ(hear(a, request(0)).error(), errc::protocol);
  clock.advance(3s);
  registry.tick(clock.now(), *this);
  EXPECT_EQ(a.ended, "it unregistered and did not close in time");
  EXPECT_EQ(registry.counts().lost, 0u);
}

TEST_F(service_registry_test, changes_the_pipe_that_gets_messages) {
  link a, b;
  enter(a, 0);
  enter(b, 1);
  ASSERT_TRUE(hear(b, change_pipe{1}));
  EXPECT_EQ(next<change_pipe_answer>(b).result, 0);
  EXPECT_EQ(main(), 1u);
  for (const int nobody : {2, 3, -1, INT32_MAX}) {
    ASSERT_TRUE(hear(b, change_pipe{nobody}));
    EXPECT_EQ(next<change_pipe_answer>(b).result, 1) << nobody;
  }
  EXPECT_EQ(main(), 1u);
  EXPECT_TRUE(a.told.empty()) << "it is no migration that somebody asked for";
}

TEST_F(service_registry_test, leads_a_migration_from_its_start_to_its_end) {
  link old, fresh;
  enter(old, 0);
  auto stateful = request(1, 2);
  stateful.stateful = true;
  EXPECT_EQ(enter(fresh, 1, stateful).must_migrate, 1);
  ASSERT_TRUE(hear(fresh, migration_step{control_id::start_migration_request}));
  EXPECT_EQ(next<migration_step>(fresh).id, control_id::start_migration_response);
  EXPECT_TRUE(registry.is_migrating(slot));
  EXPECT_EQ(main(), 0u);
  ASSERT_TRUE(hear(fresh, change_pipe{1}));
  EXPECT_EQ(next<change_pipe_answer>(fresh).result, 0);
  EXPECT_EQ(next<migration_step>(fresh).id, control_id::sidecar_migrated);
  EXPECT_EQ(next<migration_step>(old).id, control_id::sidecar_migrated);
  EXPECT_EQ(next<migration_step>(old).id, control_id::old_instance_stops);
  EXPECT_EQ(main(), 1u);
  ASSERT_TRUE(hear(fresh, migration_step{control_id::new_instance_migrated}));
  EXPECT_FALSE(registry.is_migrating(slot));
  ASSERT_TRUE(hear(old, unregistration{"101", 0, 1}));
  EXPECT_EQ(main(), 1u);
}

TEST_F(service_registry_test, gives_a_migration_up_when_either_of_its_instances_leaves) {
  for (const bool switched : {false, true})
    for (const bool old_dies : {false, true}) {
      SCOPED_TRACE(std::to_string(switched) + std::to_string(old_dies));
      link old, fresh;
      enter(old, 0);
      enter(fresh, 1);
      ASSERT_TRUE(hear(fresh, migration_step{control_id::start_migration_request}));
      if (switched) {
        ASSERT_TRUE(hear(fresh, change_pipe{1}));
      }
      registry.remove(old_dies ? old : fresh, *this);
      EXPECT_FALSE(registry.is_migrating(slot));
      EXPECT_EQ(main(), old_dies ? 1u : 0u);
      registry.remove(old_dies ? fresh : old, *this);
    }
}

TEST_F(service_registry_test, answers_the_main_instance_that_wants_to_migrate_and_does_nothing) {
  link a;
  enter(a, 0);
  ASSERT_TRUE(hear(a, migration_step{control_id::start_migration_request}));
  EXPECT_EQ(next<migration_step>(a).id, control_id::start_migration_response);
  EXPECT_FALSE(registry.is_migrating(slot));
}

TEST_F(service_registry_test, ends_the_links_of_an_entity_that_is_taken_out_of_the_configuration) {
  link a, b;
  enter(a, 0);
  connect(b, 2);
  registry.remove_entity(slot, *this);
  EXPECT_EQ(a.ended, "this entity is not in the configuration any more");
  EXPECT_EQ(b.ended, a.ended);
  EXPECT_TRUE(read.empty());
}

}  // namespace
}  // namespace ferry::session
