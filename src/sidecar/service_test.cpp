#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "os/pipe_lock.hpp"
#include "session/pipe_lease.hpp"
#include "testing/sidecar_by_hand.hpp"

namespace ferry {
namespace {

using namespace codec::sidecar;
using test::run_until;

std::string content_of(const std::string& path) {
  std::ostringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

// Every test with each kind of rings.
class service_over : public ::testing::TestWithParam<service_rings> {};
INSTANTIATE_TEST_SUITE_P(rings, service_over, ::testing::Values(service_rings::compatible, service_rings::native),
                         [](const auto& of) { return of.param == service_rings::native ? "native" : "compatible"; });

struct world {
  explicit world(service_rings rings) : kind(rings) {}
  [[nodiscard]] service make(const service_options& with) {
    auto made = service::make(where, with);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }
  [[nodiscard]] service make() { return make(sidecar.options_for()); }
  /// A service that has registered.
  [[nodiscard]] service registered(const service_options& with) {
    auto made = make(with);
    EXPECT_TRUE(made.start());
    (void)sidecar.take_registration();
    EXPECT_TRUE(
        until([&] { return made.state() == service_state::registered && made.rings() == kind; }, "the registration"));
    return made;
  }
  [[nodiscard]] service registered() {
    sidecar.make_rings();
    sidecar.listen();
    return registered(sidecar.options_for());
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult until(Done done, std::string_view awaited) {
    return run_until(io, done, awaited);
  }

  service_rings kind;
  boost::asio::io_context io;
  context where{io};
  test::sidecar_by_hand sidecar{io, kind};
};

TEST_P(service_over, takes_its_pipe_registers_and_tells_that_it_lives) {
  world w(GetParam());
  w.sidecar.make_rings();
  w.sidecar.listen();
  auto with = w.sidecar.options_for();
  with.tags = {"area3"};
  with.set_version = 5;
  with.static_weight = 100;
  with.heartbeat_timeout = std::chrono::milliseconds(30);
  with.min_heartbeat = std::chrono::milliseconds(1);
  auto one = w.make(with);
  EXPECT_EQ(one.state(), service_state::none);
  std::optional<service_registration> told;
  one.on_registered([&](const service_registration& what) { told = what; });
  ASSERT_TRUE(one.start());
  EXPECT_EQ(one.pipe(), 0u);
  EXPECT_EQ(one.start().error(), errc::misuse);
  const auto sent = w.sidecar.take_registration({.is_main = 1, .version = 9});
  EXPECT_EQ(sent.service, "10");
  EXPECT_EQ(sent.entity, "1001");
  EXPECT_EQ(sent.tags, std::vector<std::string>{"area3"});
  EXPECT_EQ(sent.set_version, 5u);
  EXPECT_EQ(sent.static_weight, 100);
  EXPECT_EQ(sent.version, 7);
  ASSERT_TRUE(w.until([&] { return told.has_value(); }, "the registration"));
  EXPECT_TRUE(told->is_main);
  EXPECT_FALSE(told->must_migrate);
  EXPECT_EQ(told->version, 9);
  EXPECT_EQ(one.state(), service_state::registered);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(w.sidecar.hear_one<heartbeat>().unique_id, sent.unique_id);
  one.set_condition(service_condition::graceful_exit);
  heartbeat last;
  while ((last = w.sidecar.hear_one<heartbeat>()).state == service_health::healthy) {
  }
  EXPECT_EQ(last.state, service_health::graceful_exit);
}

TEST_P(service_over, writes_into_its_lock_file_until_when_the_pipe_is_its_own) {
  world w(GetParam());
  const auto before = std::chrono::system_clock::now();
  auto one = w.registered();
  const auto lease = session::parse_lease(content_of(w.sidecar.file("client.lock0")));
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->version, 7u);
  EXPECT_GE(lease->expiry, std::chrono::system_clock::to_time_t(before) + 60);
  EXPECT_EQ(one.stats().renewals, 1u);
  EXPECT_FALSE(os::pipe_lock::try_acquire(w.sidecar.file("client.lock0")));
  one.close();
  EXPECT_TRUE(os::pipe_lock::try_acquire(w.sidecar.file("client.lock0")));
}

TEST_P(service_over, sends_whole_messages_with_its_entity_and_its_pipe) {
  world w(GetParam());
  auto one = w.registered();
  const std::vector<service_note> notes{{"colour", "blue"}};
  ASSERT_TRUE(one.send({.message_id = "route", .to = to_any{20, 5, 3}},
                       {.message_id = "Say", .client_sequence = 8, .notes = notes}, as_bytes("hello")));
  ASSERT_TRUE(one.send({.from = 99, .to = to_all{20, 0}}, {}, {}));
  const auto first = w.sidecar.take();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->route.from, 1001u);
  EXPECT_TRUE(first->route.to == service_destination(to_any{20, 5, 3}));
  EXPECT_EQ(first->message_id, "Say");
  EXPECT_EQ(first->package.client_sequence, 8u);
  EXPECT_EQ(first->body, "hello");
  EXPECT_EQ(first->note("colour"), "blue");
  EXPECT_EQ(first->note("1001ShmPipeIdx"), "0");
  const auto second = w.sidecar.take();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->route.from, 99u);
  EXPECT_EQ(second->body, "");
  EXPECT_FALSE(w.sidecar.take());
  EXPECT_EQ(one.stats().sent, 2u);
}

TEST_P(service_over, leaves_messages_in_the_ring_until_somebody_takes_them_and_answers_whoever_asked) {
  world w(GetParam());
  auto one = w.registered();
  const std::vector<service_note> notes{{"2001ShmPipeIdx", "1"}};
  for (int i = 0; i < 3; ++i)
    w.sidecar.put({.from = 2001, .to = to_entity{1001}, .from_set_version = 4},
                  {.message_id = "Ask", .client_sequence = static_cast<std::uint32_t>(i), .notes = notes},
                  "question " + std::to_string(i));
  test::run_ready(w.io);
  EXPECT_EQ(one.stats().received, 0u);
  std::vector<std::string> bodies;
  one.on_message([&](const service_message& what) {
    bodies.emplace_back(as_text(what.body));
    EXPECT_TRUE(one.is_to_current_instance(what));
    EXPECT_TRUE(one.reply(what, {.message_id = "Answer", .client_sequence = what.package.client_sequence}, what.body));
  });
  ASSERT_TRUE(w.until([&] { return bodies.size() == 3; }, "three questions"));
  EXPECT_EQ(bodies, (std::vector<std::string>{"question 0", "question 1", "question 2"}));
  for (std::uint32_t i = 0; i < 3; ++i) {
    const auto answer = w.sidecar.take();
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->route.to == service_destination(to_entity{2001}));
    EXPECT_EQ(answer->route.to_set_version, 4u);
    EXPECT_EQ(answer->message_id, "Answer");
    EXPECT_EQ(answer->package.client_sequence, i);
    EXPECT_EQ(answer->note("2001ShmPipeIdx"), "1") << "so that it finds the instance that asked";
  }
}

TEST_P(service_over, stops_reading_where_it_is_told_to_also_from_its_own_handler) {
  world w(GetParam());
  auto one = w.registered();
  for (int i = 0; i < 3; ++i) w.sidecar.put({.from = 1, .to = to_entity{1001}}, {}, "x");
  int received = 0;
  one.on_message([&](const service_message&) {
    received += 1;
    one.stop_receive();
  });
  ASSERT_TRUE(w.until([&] { return received == 1; }, "the first message"));
  test::run_ready(w.io);
  EXPECT_EQ(received, 1);
}

TEST_P(service_over, waits_for_the_rings_that_the_sidecar_makes) {
  world w(GetParam());
  auto one = w.make();
  ASSERT_TRUE(one.start());
  EXPECT_EQ(one.send({.to = to_entity{1}}, {}, {}).error(), errc::closed);
  test::run_ready(w.io);
  EXPECT_EQ(one.state(), service_state::none);
  w.sidecar.make_rings();
  ASSERT_TRUE(w.until([&] { return one.state() != service_state::none; }, "the rings"));
  EXPECT_TRUE(one.send({.to = to_entity{1}}, {}, {}));
}

TEST_P(service_over, gives_up_when_no_rings_come_and_when_they_are_damaged) {
  for (const bool damaged : {false, true}) {
    world w(GetParam());
    auto with = w.sidecar.options_for();
    with.ring_wait = std::chrono::milliseconds(damaged ? 60'000 : 1);
    if (damaged) {
      w.sidecar.make_rings();
      w.sidecar.receive_file()[0] = std::byte{7};
    }
    auto one = w.make(with);
    error why;
    one.on_failed([&](const error& failed) { why = failed; });
    ASSERT_TRUE(one.start());
    ASSERT_TRUE(w.until([&] { return one.state() == service_state::stopped; }, "the end"));
    EXPECT_EQ(why, damaged ? errc::corrupt : errc::timeout) << why.text();
    EXPECT_TRUE(os::pipe_lock::try_acquire(w.sidecar.file("client.lock0"))) << "and lets its pipe go";
  }
}

TEST_P(service_over, takes_the_last_free_pipe_or_the_one_that_its_version_held) {
  world w(GetParam());
  const auto with = w.sidecar.options_for(2);
  auto other = with;
  other.version = 8;
  {
    auto one = w.make(with);
    auto two = w.make(other);
    ASSERT_TRUE(one.start());
    ASSERT_TRUE(two.start());
    EXPECT_EQ(one.pipe(), 1u);
    EXPECT_EQ(two.pipe(), 0u);
    auto three = w.make(with);
    const auto refused = three.start();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::busy);
    EXPECT_NE(refused.error().text().find("none of 2 pipes"), std::string::npos) << refused.error().text();
    EXPECT_TRUE(one.other_instance_is_there().value());
    test::run_ready(w.io);
    two.close();
    EXPECT_FALSE(one.other_instance_is_there().value());
  }
  auto again = w.make(other);
  ASSERT_TRUE(again.start());
  EXPECT_EQ(again.pipe(), 0u);
}

TEST_P(service_over, registers_again_when_the_sidecar_comes_again_and_keeps_what_lies_in_the_rings) {
  world w(GetParam());
  auto one = w.registered();
  int lost = 0, failed = 0;
  one.on_unregistered([&](const error&) { lost += 1; });
  one.on_attempt_failed([&](const error&) { failed += 1; });
  ASSERT_TRUE(one.send({.to = to_entity{1}}, {}, as_bytes("before")));
  w.sidecar.die();
  ASSERT_TRUE(w.until([&] { return lost == 1 && failed >= 2; }, "two attempts"));
  EXPECT_EQ(one.state(), service_state::connecting);
  ASSERT_TRUE(one.send({.to = to_entity{1}}, {}, as_bytes("meanwhile")));
  w.sidecar.listen();
  (void)w.sidecar.take_registration();
  ASSERT_TRUE(w.until([&] { return one.state() == service_state::registered; }, "the registration"));
  EXPECT_EQ(w.sidecar.take()->body, "before");
  EXPECT_EQ(w.sidecar.take()->body, "meanwhile");
  EXPECT_EQ(one.stats().registrations, 2u);
}

// The sidecar that comes again has compatible rings only, and says so while the service is about to fall asleep.
TEST(native_service, that_falls_asleep_as_its_rings_change_reads_the_other_ones) {
  world w(service_rings::native);
  auto one = w.registered();
  std::vector<std::string> got;
  one.on_message([&](const service_message& what) {
    got.emplace_back(as_text(what.body));
    if (got.size() == 1) w.sidecar.say(registration_answer{});
  });
  one.on_registered([](const service_registration&) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    while (std::chrono::steady_clock::now() < end) continue;  // nothing has come for so long
  });
  w.sidecar.die();
  w.sidecar.listen();
  w.sidecar.accept();
  (void)w.sidecar.hear_one<registration>();
  w.sidecar.put({.to = to_entity{1001}}, {}, "before");
  ASSERT_TRUE(w.until([&] { return one.rings() == service_rings::compatible; }, "the answer"));
  test::run_ready(w.io);
  w.sidecar.forget_native();
  w.sidecar.put({.to = to_entity{1001}}, {}, "behind");
  EXPECT_TRUE(w.until([&] { return got.size() == 2; }, "the message"));
}

TEST_P(service_over, ends_a_connection_on_which_the_sidecar_breaks_the_protocol_and_makes_another) {
  world w(GetParam());
  auto one = w.registered();
  error why;
  one.on_unregistered([&](const error& lost) { why = lost; });
  w.sidecar.say_nonsense();
  ASSERT_TRUE(w.until([&] { return why == errc::protocol; }, "the end of the connection"));
  (void)w.sidecar.take_registration({.code = 2, .reason = "no such pipe"});
  ASSERT_TRUE(w.until([&] { return one.stats().failed_attempts == 1; }, "the refusal"));
}

TEST_P(service_over, tells_how_a_change_of_its_route_went) {
  world w(GetParam());
  auto one = w.registered();
  std::optional<error_code> outcome;
  const auto take = [&](error_code failed) { outcome = failed; };
  for (const std::int32_t result : {0, 1}) {
    outcome.reset();
    one.async_change_route(take);
    std::optional<error_code> second;
    one.async_change_route([&](error_code failed) { second = failed; });
    EXPECT_EQ(w.sidecar.hear_one<change_pipe>().pipe, 0);
    w.sidecar.say(change_pipe_answer{result});
    ASSERT_TRUE(w.until([&] { return outcome.has_value() && second.has_value(); }, "the outcome"));
    EXPECT_EQ(*second, errc::busy);
    EXPECT_EQ(outcome->failed(), result != 0);
  }
  EXPECT_EQ(*outcome, errc::refused);
  outcome.reset();
  w.sidecar.die();
  ASSERT_TRUE(w.until([&] { return one.state() == service_state::connecting; }, "the loss"));
  one.async_change_route(take);
  ASSERT_TRUE(w.until([&] { return outcome.has_value(); }, "the outcome"));
  EXPECT_EQ(*outcome, errc::closed);
}

// By the event loop and by a program that polls; what a handler holds lives until it returns.
TEST_P(service_over, may_lose_its_handler_and_its_last_handle_to_the_handler_that_runs) {
  for (const bool polls : {false, true}) {
    world w(GetParam());
    std::optional<service> one = w.registered();
    for (const char* body : {"first", "second", "third"}) w.sidecar.put({.from = 1, .to = to_entity{1001}}, {}, body);
    std::vector<std::string> taken;
    const auto take = [&](const service_message& what) { taken.emplace_back(as_text(what.body)); };
    one->on_message([&, own = std::string("a text that needs memory of its own")](const service_message& what) {
      take(what);
      one->on_message([&, own](const service_message& next) {
        take(next);
        one->close();
        one.reset();
        take(next);
        taken.push_back(own);
      });
      taken.push_back(own);
    });
    const auto is_over = [&] {
      if (polls && one) (void)one->poll();
      return !one;
    };
    ASSERT_TRUE(w.until(is_over, "the end of the service"));
    const std::string own = "a text that needs memory of its own";
    EXPECT_EQ(taken, (std::vector<std::string>{"first", own, "second", "second", own}));
  }
}

TEST_P(service_over, tells_full_and_too_large_apart) {
  world w(GetParam());
  auto one = w.registered();
  const std::string body(3000, 'x');
  result<void> sent;
  std::size_t count = 0;
  while ((sent = one.send({.to = to_entity{1}}, {}, as_bytes(body)))) count += 1;
  EXPECT_EQ(sent.error(), errc::full) << sent.error().text();
  EXPECT_EQ(count, 5u);
  EXPECT_EQ(one.take_usage().send_percent, GetParam() == service_rings::native ? 92u : 94u);
  while (w.sidecar.take()) {
  }
  EXPECT_EQ(one.send({.to = to_entity{1}}, {}, as_bytes(std::string(20'000, 'x'))).error(), errc::message_too_large);
  EXPECT_EQ(one.send({.to = std::monostate()}, {}, {}).error(), errc::misuse);
  EXPECT_EQ(one.send({.to = to_entity{1}}, {.message_id = "\xff"}, {}).error(), errc::misuse);
  EXPECT_EQ(one.stats().full, 1u);
}

TEST_P(service_over, sends_several_in_order_up_to_the_first_that_cannot_go) {
  world w(GetParam());
  auto one = w.registered();
  const std::vector<service_note> notes{{"colour", "blue"}};
  const std::vector<service_message> all{
      {{.to = to_entity{1}}, {}, as_bytes("first")},
      {{.from = 99, .message_id = "route", .to = to_all{20, 0}}, {.message_id = "Say", .notes = notes}, {}},
      {{.to = to_entity{1}}, {.message_id = "\xff"}, as_bytes("no text")},
      {{.to = to_entity{1}}, {}, as_bytes("behind it")}};
  ASSERT_EQ(one.send(all).value(), 2u);
  EXPECT_EQ(one.send(std::span(all).subspan(2)).error(), errc::misuse);
  EXPECT_EQ(one.send(std::span(all).first(0)).value(), 0u);
  ASSERT_EQ(one.send(std::span(all).subspan(3)).value(), 1u);
  EXPECT_EQ(one.stats().sent, 3u);
  const auto first = w.sidecar.take(), second = w.sidecar.take(), third = w.sidecar.take();
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(first->body, "first");
  EXPECT_EQ(first->route.from, 1001u);
  EXPECT_EQ(first->note("1001ShmPipeIdx"), "0");
  EXPECT_EQ(second->route.from, 99u);
  EXPECT_TRUE(second->route.to == service_destination(to_all{20, 0}));
  EXPECT_EQ(second->message_id, "Say");
  EXPECT_EQ(second->note("colour"), "blue");
  EXPECT_EQ(third->body, "behind it");
  EXPECT_FALSE(w.sidecar.take());
}

TEST_P(service_over, goes_on_where_there_was_no_room_for_all_of_several) {
  world w(GetParam());
  auto one = w.registered();
  const std::string body(3000, 'x');
  const std::vector<service_message> all(8, {{.to = to_entity{1}}, {}, as_bytes(body)});
  ASSERT_EQ(one.send(all).value(), 5u);
  EXPECT_EQ(one.send(all).error(), errc::full);
  EXPECT_EQ(one.stats().sent, 5u);
  EXPECT_EQ(one.stats().full, 2u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(w.sidecar.take().value().body, body);
  EXPECT_EQ(one.send(std::span(all).subspan(5)).value(), 3u);
  one.close();
  EXPECT_EQ(one.send(all).error(), errc::closed);
}

TEST_P(service_over, counts_what_it_cannot_understand_and_goes_on) {
  world w(GetParam());
  auto one = w.registered();
  std::vector<std::string> faults, bodies;
  one.on_fault([&](const error& why) { faults.push_back(why.text()); });
  w.sidecar.put_garbage("not a message");
  w.sidecar.put({.from = 1, .to = to_entity{1001}}, {}, "after");
  one.on_message([&](const service_message& what) { bodies.emplace_back(as_text(what.body)); });
  ASSERT_TRUE(w.until([&] { return !bodies.empty(); }, "the message behind"));
  EXPECT_EQ(bodies[0], "after");
  EXPECT_EQ(faults.size(), 1u);
  EXPECT_EQ(one.stats().malformed, 1u);
  EXPECT_EQ(one.stats().ring_faults, 0u);
}

TEST_P(service_over, loses_its_pipe_for_good_when_somebody_else_has_its_lock) {
  world w(GetParam());
  w.sidecar.make_rings();
  auto one = w.make();
  error why;
  one.on_failed([&](const error& failed) { why = failed; });
  ASSERT_TRUE(one.start());
  std::filesystem::remove(w.sidecar.file("client.lock0"));
  const auto other = os::pipe_lock::try_acquire(w.sidecar.file("client.lock0"));
  ASSERT_TRUE(other);
  ASSERT_TRUE(w.until([&] { return one.state() == service_state::stopped; }, "the end"));
  EXPECT_EQ(why, errc::busy) << why.text();
  EXPECT_NE(why.text().find("is lost"), std::string::npos) << why.text();
  EXPECT_EQ(one.send({.to = to_entity{1}}, {}, {}).error(), errc::closed);
}

TEST_P(service_over, tells_and_waits_until_the_sidecar_has_everything_when_it_stops) {
  world w(GetParam());
  auto one = w.registered();
  ASSERT_TRUE(one.send({.to = to_entity{1}}, {}, as_bytes("last")));
  std::optional<error_code> stopped;
  one.async_stop(test::k_patience, [&](error_code failed) { stopped = failed; });
  EXPECT_EQ(one.send({.to = to_entity{1}}, {}, {}).error(), errc::closed);
  EXPECT_EQ(w.sidecar.hear_one<unregistration>().entity, "1001");
  EXPECT_FALSE(w.sidecar.hear()) << "the connection ends";
  EXPECT_FALSE(stopped);
  EXPECT_FALSE(os::pipe_lock::try_acquire(w.sidecar.file("client.lock0")));
  EXPECT_EQ(w.sidecar.take()->body, "last");
  ASSERT_TRUE(w.until([&] { return stopped.has_value(); }, "the end"));
  EXPECT_FALSE(stopped->failed());
  EXPECT_TRUE(os::pipe_lock::try_acquire(w.sidecar.file("client.lock0")));
  EXPECT_EQ(one.state(), service_state::stopped);
}

TEST_P(service_over, stops_in_time_where_the_sidecar_takes_nothing_any_more) {
  world w(GetParam());
  auto one = w.registered();
  ASSERT_TRUE(one.send({.to = to_entity{1}}, {}, as_bytes("last")));
  std::optional<error_code> stopped;
  one.async_stop(std::chrono::milliseconds(5), [&](error_code failed) { stopped = failed; });
  ASSERT_TRUE(w.until([&] { return stopped.has_value(); }, "the end"));
  EXPECT_EQ(*stopped, errc::timeout);
}

TEST_P(service_over, forwards_what_is_for_the_other_instance) {
  world w(GetParam());
  auto one = w.registered();
  const std::vector<service_note> notes{{"1001ShmPipeIdx", "1"}};
  w.sidecar.put({.from = 2001, .to = to_entity{1001}}, {.message_id = "Answer", .notes = notes}, "for pipe 1");
  one.on_message([&](const service_message& what) {
    EXPECT_FALSE(one.is_to_current_instance(what));
    EXPECT_TRUE(one.forward(what));
  });
  std::optional<test::kept_message> forwarded;
  ASSERT_TRUE(w.until([&] { return (forwarded = w.sidecar.take()).has_value(); }, "the message"));
  EXPECT_TRUE(forwarded->route.to == service_destination(to_other_instance{0}));
  EXPECT_EQ(forwarded->route.from, 2001u);
  EXPECT_EQ(forwarded->note("1001ShmPipeIdx"), "1");
  EXPECT_EQ(forwarded->body, "for pipe 1");
}

TEST_P(service_over, leaves_the_control_socket_and_uses_its_rings_on) {
  world w(GetParam());
  auto one = w.registered();
  one.unregister();
  EXPECT_EQ(w.sidecar.hear_one<unregistration>().pipe, 0);
  EXPECT_FALSE(w.sidecar.hear());
  EXPECT_EQ(one.state(), service_state::migrating);
  int received = 0;
  one.on_message([&](const service_message&) { received += 1; });
  w.sidecar.put({.from = 1, .to = to_entity{1001}}, {}, "late");
  ASSERT_TRUE(w.until([&] { return received == 1; }, "the message"));
  EXPECT_TRUE(one.send({.to = to_entity{1}}, {}, {}));
}

TEST_P(service_over, goes_on_after_its_handler_has_thrown) {
  world w(GetParam());
  auto one = w.registered();
  int received = 0;
  one.on_message([&](const service_message&) {
    if (received++ == 0) throw std::runtime_error("from the handler");
  });
  for (int i = 0; i < 2; ++i) w.sidecar.put({.from = 1, .to = to_entity{1001}}, {}, "x");
  EXPECT_THROW((void)w.until([&] { return false; }, "an exception"), std::runtime_error);
  ASSERT_TRUE(w.until([&] { return received == 2; }, "the second message"));
}

TEST_P(service_over, may_be_closed_and_dropped_in_its_own_handler) {
  world w(GetParam());
  auto one = w.registered();
  int received = 0;
  one.on_message([&](const service_message& what) {
    received += 1;
    one.close();
    one = {};
    EXPECT_EQ(as_text(what.body), "x");
  });
  for (int i = 0; i < 2; ++i) w.sidecar.put({.from = 1, .to = to_entity{1001}}, {}, "x");
  ASSERT_TRUE(w.until([&] { return received == 1; }, "the message"));
  test::run_ready(w.io);
  EXPECT_EQ(received, 1);
}

TEST_P(service_over, says_which_option_is_wrong) {
  world w(GetParam());
  const auto text_of = [&](auto change) {
    auto with = w.sidecar.options_for();
    change(with);
    const auto made = service::make(w.where, with);
    return made ? std::string("made") : made.error().text();
  };
  EXPECT_NE(text_of([](auto& with) { with.directory.clear(); }).find("directory"), std::string::npos);
  EXPECT_NE(text_of([](auto& with) { with.pipes = 0; }).find("1 .. 1024"), std::string::npos);
  EXPECT_NE(text_of([](auto& with) { with.lock_name = "../x"; }).find("'../x'"), std::string::npos);
  EXPECT_NE(text_of([](auto& with) { with.batch = 0; }).find("batch"), std::string::npos);
  EXPECT_NE(text_of([](auto& with) { with.poll_interval = {}; }).find("poll_interval"), std::string::npos);
  EXPECT_NE(text_of([](auto& with) { with.directory = std::string(200, 'x'); }).find("longer than the 107"),
            std::string::npos);
}

}  // namespace
}  // namespace ferry
