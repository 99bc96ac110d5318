#include "session/sidecar_service.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/virtual_clock.hpp"

namespace ferry::session {
namespace {

using namespace codec::sidecar;
using namespace std::chrono_literals;
using state = sidecar_service::state;

struct recorder final : sidecar_service_output {
  std::vector<std::string> said;
  std::vector<notice> sent;
  void connect() override { said.emplace_back("connect"); }
  void send(const notice& what) override {
    sent.push_back(what);
    said.emplace_back("send");
  }
  void hang_up() override { said.emplace_back("hang up"); }
  void on_registered(const registration_answer&) override { said.emplace_back("registered"); }
  void on_main_changed(const registration_answer& answer) override {
    said.emplace_back(answer.is_main != 0 ? "main" : "not main");
  }
  void on_unregistered(const error& why) override { said.push_back("unregistered: " + why.text()); }
  void on_attempt_failed(const error& why) override { said.push_back("failed: " + why.text()); }
  void on_route_changed(const std::optional<error>& failed) override {
    said.push_back(failed ? "not changed: " + failed->text() : "changed");
  }
  void on_migration_step(control_id which) override {
    said.push_back("step " + std::to_string(static_cast<int>(which)));
  }
  std::vector<std::string> take() { return std::exchange(said, {}); }
};
using told = std::vector<std::string>;

struct world {
  world() { service.start(3, clock.now()); }
  void pass(duration step) { service.on_time(clock.advance(step), out); }
  void hear(const notice& what) { service.on_notice(what, clock.now(), out); }
  void lose(const char* why) { service.on_lost(error(errc::reset, why), out); }
  void reach() {
    pass(0s);
    service.on_connected(out);
  }
  void register_it() {
    reach();
    hear(registration_answer{});
    EXPECT_EQ(service.where(), state::registered);
    out.take();
    out.sent.clear();
  }
  test::virtual_clock clock;
  recorder out;
  sidecar_service service{{.self = {.service = "10", .entity = "1001", .unique_id = 77},
                           .retry_interval = 1s,
                           .attempt_timeout = 3s,
                           .heartbeat_timeout = 15s}};
};

TEST(sidecar_service, does_nothing_before_it_is_started) {
  recorder out;
  sidecar_service service({});
  service.on_time(test::virtual_clock().now(), out);
  EXPECT_FALSE(service.next());
  EXPECT_EQ(out.take(), told());
}

TEST(sidecar_service, connects_at_once_and_registers_with_its_pipe) {
  world w;
  EXPECT_EQ(w.service.next(), w.clock.now());
  w.reach();
  EXPECT_EQ(w.out.take(), (told{"connect", "send"}));
  ASSERT_EQ(w.out.sent.size(), 1u);
  const auto& sent = std::get<registration>(w.out.sent[0]);
  EXPECT_EQ(sent.pipe, 3);
  EXPECT_EQ(sent.entity, "1001");
  EXPECT_TRUE(sent.healthy);
  w.hear(registration_answer{});
  EXPECT_EQ(w.out.take(), told{"registered"});
}

TEST(sidecar_service, tries_again_every_retry_interval_whatever_went_wrong) {
  world w;
  for (int round = 0; round < 3; ++round) {
    w.pass(0s);
    EXPECT_EQ(w.out.take(), told{"connect"});
    w.lose("nobody there");
    EXPECT_EQ(w.out.take(), (told{"hang up", "failed: nobody there"}));
    w.pass(999ms);
    EXPECT_EQ(w.out.take(), told());
    w.pass(1ms);
    EXPECT_EQ(w.out.take(), told{"connect"});
    w.service.on_connected(w.out);
    w.hear(registration_answer{.code = 2, .reason = "no such pipe"});
    EXPECT_EQ(w.out.take(),
              (told{"send", "hang up", "failed: the sidecar refused the registration: no such pipe (2)"}));
    w.pass(1s);
    EXPECT_EQ(w.out.take(), told{"connect"});
    w.pass(3s);
    EXPECT_EQ(w.out.take(), (told{"hang up", "failed: the sidecar could not be reached in time"}));
    w.pass(0s);
    w.service.on_connected(w.out);
    w.pass(3s);
    EXPECT_EQ(w.out.take(),
              (told{"connect", "send", "hang up", "failed: the sidecar did not answer the registration in time"}));
  }
}

TEST(sidecar_service, sends_a_heartbeat_every_third_of_the_timeout_but_not_too_often) {
  world w;
  w.register_it();
  for (int i = 0; i < 3; ++i) {
    w.pass(4999ms);
    EXPECT_EQ(w.out.take(), told());
    w.pass(1ms);
    EXPECT_EQ(w.out.take(), told{"send"});
  }
  EXPECT_EQ(std::get<heartbeat>(w.out.sent[0]), (heartbeat{service_health::healthy, 3, 77, 0}));
  sidecar_service often({.self = {}, .heartbeat_timeout = 30ms});
  often.start(0, w.clock.now());
  often.on_time(w.clock.now(), w.out);
  often.on_connected(w.out);
  often.on_notice(registration_answer{}, w.clock.now(), w.out);
  EXPECT_EQ(often.next(), w.clock.now() + 500ms);
}

TEST(sidecar_service, tells_a_change_of_its_health_at_once) {
  world w;
  w.register_it();
  w.service.set_health(service_health::graceful_exit, w.clock.now(), w.out);
  EXPECT_EQ(std::get<heartbeat>(w.out.sent.at(0)).state, service_health::graceful_exit);
  EXPECT_EQ(w.service.next(), w.clock.now() + 5s);
  w.lose("gone");
  w.pass(1s);
  w.service.on_connected(w.out);
  EXPECT_FALSE(std::get<registration>(w.out.sent.at(1)).healthy) << "and when it registers again";
}

TEST(sidecar_service, registers_again_when_the_connection_ends) {
  world w;
  w.register_it();
  w.pass(700ms);
  w.lose("the sidecar is gone");
  EXPECT_EQ(w.out.take(), (told{"hang up", "unregistered: the sidecar is gone"}));
  w.pass(300ms);
  EXPECT_EQ(w.out.take(), told{"connect"}) << "not more than once in a retry interval";
  w.service.on_connected(w.out);
  w.hear(registration_answer{});
  EXPECT_EQ(w.out.take(), (told{"send", "registered"}));
}

TEST(sidecar_service, is_told_again_who_is_the_main_instance_and_stays_registered) {
  world w;
  w.register_it();
  w.pass(2s);
  w.hear(registration_answer{.is_main = 1});
  w.hear(registration_answer{.is_main = 0});
  EXPECT_EQ(w.out.take(), (told{"main", "not main"}));
  EXPECT_EQ(w.service.where(), state::registered);
  EXPECT_EQ(w.service.next(), w.clock.now() + 3s) << "heartbeats go on as before";
}

TEST(sidecar_service, begins_anew_when_its_registration_is_refused_afterwards) {
  world w;
  w.register_it();
  w.hear(registration_answer{.code = 5, .reason = "damaged"});
  EXPECT_EQ(w.out.take(), (told{"hang up", "unregistered: the sidecar refused the registration: damaged (5)"}));
}

TEST(sidecar_service, does_not_listen_to_answers_where_it_has_left) {
  world w;
  w.register_it();
  w.service.migrate(w.out);
  w.out.take();
  w.hear(registration_answer{.is_main = 1});
  EXPECT_EQ(w.out.take(), told());
}

TEST(sidecar_service, tells_how_a_change_of_the_route_went) {
  world w;
  EXPECT_EQ(w.service.change_route(w.clock.now(), w.out).error(), errc::closed);
  w.register_it();
  ASSERT_TRUE(w.service.change_route(w.clock.now(), w.out));
  EXPECT_EQ(std::get<change_pipe>(w.out.sent.at(0)).pipe, 3);
  EXPECT_EQ(w.service.change_route(w.clock.now(), w.out).error(), errc::busy);
  w.hear(change_pipe_answer{0});
  EXPECT_EQ(w.out.take(), (told{"send", "changed"}));
  w.hear(change_pipe_answer{0});
  EXPECT_EQ(w.out.take(), told()) << "nobody asked";
  ASSERT_TRUE(w.service.change_route(w.clock.now(), w.out));
  w.hear(change_pipe_answer{5});
  EXPECT_EQ(w.out.take(), (told{"send", "not changed: the sidecar refused to change the route: 5"}));
  ASSERT_TRUE(w.service.change_route(w.clock.now(), w.out));
  EXPECT_EQ(w.service.next(), w.clock.now() + 3s);
  w.pass(3s);
  EXPECT_EQ(w.out.take(), (told{"send", "not changed: the sidecar did not answer the change of the route in time"}));
  ASSERT_TRUE(w.service.change_route(w.clock.now(), w.out));
  w.lose("gone");
  EXPECT_EQ(w.out.take(),
            (told{"send", "hang up", "not changed: the connection to the sidecar ended: gone", "unregistered: gone"}));
}

TEST(sidecar_service, hands_on_the_steps_of_a_migration) {
  world w;
  EXPECT_EQ(w.service.tell(control_id::start_migration_request, w.out).error(), errc::closed);
  w.register_it();
  ASSERT_TRUE(w.service.tell(control_id::start_migration_request, w.out));
  EXPECT_EQ(std::get<migration_step>(w.out.sent.at(0)).id, control_id::start_migration_request);
  w.hear(migration_step{control_id::sidecar_migrated});
  EXPECT_EQ(w.out.take(), (told{"send", "step 803"}));
}

TEST(sidecar_service, leaves_the_socket_for_good_when_it_migrates_and_still_stops) {
  world w;
  w.register_it();
  w.service.migrate(w.out);
  w.service.migrate(w.out);
  EXPECT_EQ(w.out.take(), told{"hang up"});
  EXPECT_FALSE(w.service.next());
  w.lose("late");
  w.pass(1h);
  EXPECT_EQ(w.out.take(), told());
  EXPECT_FALSE(w.service.stop(w.out));
  EXPECT_EQ(w.service.where(), state::stopped);
}

TEST(sidecar_service, unregisters_before_it_leaves_where_it_is_asked_to) {
  world w;
  w.register_it();
  w.service.unregister(w.out);
  EXPECT_EQ(w.out.take(), (told{"send", "hang up"}));
  EXPECT_EQ(std::get<unregistration>(w.out.sent.at(0)), (unregistration{"1001", 3, 77}));
  EXPECT_EQ(w.service.where(), state::migrating);
}

TEST(sidecar_service, unregisters_when_it_stops_and_does_nothing_more) {
  world w;
  w.register_it();
  ASSERT_TRUE(w.service.report_load(5, 10, w.out));
  EXPECT_TRUE(w.service.stop(w.out));
  EXPECT_EQ(std::get<load_report>(w.out.sent.at(0)), (load_report{"1001", 5, 10}));
  EXPECT_EQ(std::get<unregistration>(w.out.sent.at(1)), (unregistration{"1001", 3, 77}));
  w.pass(1h);
  w.lose("late");
  w.hear(registration_answer{});
  EXPECT_EQ(w.out.take(), (told{"send", "send"}));
  EXPECT_FALSE(w.service.next());
}

}  // namespace
}  // namespace ferry::session
