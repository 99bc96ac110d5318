// What cannot go on at once, and what comes back: messages that wait, copies of one message, messages that are handed
// on. The sidecar with services by hand.
#include "sidecar/forwarder.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <numeric>
#include <string>
#include <vector>

#include "testing/sidecar_world.hpp"

namespace ferry::sidecar {
namespace {

using namespace std::chrono_literals;
using session::unroutable;
using test::service_by_hand;

class forwarder_test : public test::sidecar_world {
 protected:
  // The ring of entity 201 has no room for a copy, and 102 waits for it.
  void fill(service_by_hand& from_102) {
    while (view(1).counts.held == 0) {
      while (from_102.send(to_entity{201}, k_filling)) {
      }
      io.poll();
    }
  }
  // 101 sends a copy to both: 102 has got it, and it waits for room at 201.
  void hold_a_copy(service_by_hand& from_101, service_by_hand& at_102) {
    fill(at_102);
    ASSERT_TRUE(from_101.send(to_entities{k_both}, k_copy));
    EXPECT_EQ(at_102.receive().body, k_copy);
    EXPECT_EQ(view(0).counts.held, 1u);
  }
  // All that comes for it until that one, but for what filled its ring.
  std::vector<std::string> received_until(service_by_hand& at, std::string_view last) {
    std::vector<std::string> made;
    while (made.empty() || made.back() != last) {
      const auto got = at.receive();
      if (HasFailure()) break;
      if (got.body != k_filling) made.push_back(got.body);
    }
    return made;
  }
  const std::string k_filling = std::string(3000, 'f'), k_copy = std::string(4000, 'c');
  const std::vector<std::int32_t> k_both{102, 201};
  using texts = std::vector<std::string>;
};

service_route to(const service_destination& where, std::uint32_t from) {
  service_route made;
  made.from = from;
  made.message_id = "test";
  made.to = where;
  return made;
}

// Two instances that follow the rules would hand it on to each other for ever.
TEST_F(forwarder_test, hands_a_message_on_to_the_instance_that_it_names_or_to_nobody) {
  with.entities[2].pipes = 3;
  open();
  auto a = service(2), b = service(2, 1), c = service(2, 2);
  a.enter(), b.enter(), c.enter();
  const auto hand_on = [](service_by_hand& from, std::int32_t pipe, std::string_view wanted) {
    const service_note note{"201ShmPipeIdx", wanted};
    return from.send(to(to_other_instance{pipe}, 101), {.message_id = "test", .notes = {&note, 1}}, wanted,
                     test::milliseconds_since_1970());
  };
  ASSERT_TRUE(hand_on(b, 1, "2"));
  EXPECT_EQ(c.receive().body, "2") << "not the main instance";
  for (const char* nobody : {"7", "4294967296", "-1", "x", ""}) ASSERT_TRUE(hand_on(b, 1, nobody));
  ASSERT_TRUE(hand_on(a, 0, "1"));
  EXPECT_EQ(b.receive().body, "1");
  ASSERT_TRUE(comes([&] { return undeliverable(unroutable::no_other) == 5; }, "the count"));
  EXPECT_FALSE(a.take());
  EXPECT_FALSE(c.take());
}

TEST_F(forwarder_test, brings_nobody_a_copy_twice_when_its_sender_registers_again) {
  open();
  auto a = service(0), b = service(1), c = service(2);
  a.enter(), b.enter(), c.enter();
  ASSERT_NO_FATAL_FAILURE(hold_a_copy(a, b));
  a.control.close();
  ASSERT_TRUE(comes([&] { return it->stats().control.lost == 1; }, "the loss"));
  EXPECT_EQ(a.enter_again().code, 0);
  ASSERT_TRUE(a.send(to_entities{k_both}, "last"));
  EXPECT_EQ(received_until(c, "last"), (texts{k_copy, "last"}));
  EXPECT_EQ(received_until(b, "last"), texts{"last"});
}

TEST_F(forwarder_test, keeps_a_copy_for_a_receiver_that_registers_again) {
  open();
  auto a = service(0), b = service(1), c = service(2);
  a.enter(), b.enter(), c.enter();
  ASSERT_NO_FATAL_FAILURE(hold_a_copy(a, b));
  c.control.close();
  ASSERT_TRUE(comes([&] { return it->stats().control.lost == 1; }, "the loss"));
  while (c.take()) {
  }
  for (int i = 0; i < 1000; ++i) io.poll();
  EXPECT_EQ(undeliverable(unroutable::absent), 0u);
  EXPECT_EQ(c.enter_again().code, 0);
  EXPECT_EQ(received_until(c, k_copy), texts{k_copy});
}

TEST_F(forwarder_test, gives_nobody_else_a_copy_when_its_entity_is_taken_out) {
  with.return_undeliverable = true;
  open();
  auto a = service(0), b = service(1), c = service(2);
  a.enter(), b.enter(), c.enter();
  ASSERT_NO_FATAL_FAILURE(hold_a_copy(a, b));
  auto other = with;
  other.entities[2] = test::small_entity(dir, 103, 2);
  other.entities[2].service = 2;
  EXPECT_TRUE(it->change(other).empty());
  with = other;
  auto d = service(2);  // in the place that was the other one's
  EXPECT_EQ(d.enter().code, 0);
  const auto back = a.receive();
  EXPECT_EQ(back.from, 201u);
  EXPECT_EQ(back.return_code, -1);
  ASSERT_TRUE(a.send(to_entity{103}, "last"));
  EXPECT_EQ(received_until(d, "last"), texts{"last"});
}

TEST_F(forwarder_test, keeps_what_is_for_a_service_until_those_have_registered_who_were_there_before_it_was_killed) {
  open();
  auto a = service(0), b = service(1), c = service(2);
  a.enter(), b.enter(), c.enter();
  it.reset();
  ASSERT_TRUE(a.send(to_any{2}, "any"));
  ASSERT_TRUE(a.send(to_all{1}, "all of mine"));
  ASSERT_TRUE(a.send(to_all{2}, "all"));
  open();
  EXPECT_EQ(a.enter_again().code, 0);
  ASSERT_TRUE(comes([&] { return view(0).counts.held == 1; }, "a message that waits"));
  EXPECT_EQ(c.enter_again().code, 0);
  EXPECT_EQ(c.receive().body, "any");
  ASSERT_TRUE(comes([&] { return view(0).counts.held == 2; }, "another one that waits"));
  EXPECT_EQ(b.enter_again().code, 0);
  EXPECT_EQ(b.receive().body, "all of mine");
  EXPECT_EQ(c.receive().body, "all");
  EXPECT_EQ(undeliverable(unroutable::nobody_suitable), 0u);
}

TEST_F(forwarder_test, keeps_what_is_handed_on_for_an_instance_that_will_register_again) {
  open();
  auto one = service(2), other = service(2, 1);
  one.enter(), other.enter();
  it.reset();
  ASSERT_TRUE(one.send(to_other_instance{0}, "not mine"));
  open();
  EXPECT_EQ(one.enter_again().code, 0);
  ASSERT_TRUE(comes([&] { return view(2).counts.held == 1; }, "a message that waits"));
  EXPECT_EQ(other.enter_again().code, 0);
  EXPECT_EQ(other.receive().body, "not mine");
}

TEST_F(forwarder_test, reads_on_behind_very_many_messages_that_are_too_old) {
  with.message_age = 60s;
  with.entities[0].send_bytes = 1 << 20;
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  const auto now = test::milliseconds_since_1970();
  for (int i = 0; i < 7000; ++i) ASSERT_TRUE(a.send(to(to_entity{201}, 101), {.message_id = "test"}, "", now - 70'000));
  ASSERT_TRUE(a.send(to_entity{201}, "fresh"));
  a.control.close();  // it is read to its end, and then no more
  EXPECT_EQ(b.receive().body, "fresh");
  EXPECT_EQ(view(0).from.expired, 7000u);
}

TEST_F(forwarder_test, drops_at_once_what_no_ring_of_its_receiver_can_ever_hold) {
  with.entities[0].send_bytes = 1 << 20;
  open();
  auto a = service(0), b = service(2);
  a.enter(), b.enter();
  ASSERT_TRUE(a.send(to_entity{201}, std::string(100'000, 'l')));
  ASSERT_TRUE(a.send(to_entity{201}, "small"));
  EXPECT_EQ(b.receive().body, "small");
  EXPECT_EQ(view(2).counts.full, 1u);
  EXPECT_EQ(view(0).counts.held, 0u);
}

TEST_F(forwarder_test, gives_thousands_back_without_reading_the_message_as_often) {
  with.return_undeliverable = true;
  with.entities[0].receive_bytes = 1 << 20;
  open();
  auto a = service(0);
  a.enter();
  std::vector<std::int32_t> nobody(session::service_routes::k_most_targets);
  std::iota(nobody.begin(), nobody.end(), 1000);
  const std::string text(30, 'n');
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back(text + std::to_string(i));
  std::vector<service_note> notes;
  for (const auto& name : names) notes.push_back({name, name});
  const auto resident_kib = [] {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss;
  };
  const auto before = resident_kib();
  ASSERT_TRUE(a.send(to(to_entities{nobody}, 101), {.message_id = "test", .notes = notes}, "",
                     test::milliseconds_since_1970()));
  ASSERT_TRUE(comes([&] { return undeliverable(unroutable::unknown_entity) == nobody.size(); }, "the count"));
  EXPECT_LT(resident_kib(), before + 100 * 1024) << "KiB";
  const auto data = it->stats().data;
  EXPECT_GT(data.returned, 0u);
  EXPECT_EQ(data.returned + data.not_returned, nobody.size());
  EXPECT_EQ(a.receive().from, 1000u);
}

TEST_F(forwarder_test, misses_an_entity_once_that_is_named_twice) {
  open();
  auto a = service(0), c = service(2);
  a.enter(), c.enter();
  const std::vector<std::int32_t> some{999, 201, 999, 201, 998};
  ASSERT_TRUE(a.send(to_entities{some}, "some"));
  ASSERT_TRUE(a.send(to_entity{201}, "last"));
  EXPECT_EQ(received_until(c, "last"), (texts{"some", "last"}));
  EXPECT_EQ(undeliverable(unroutable::unknown_entity), 2u);
}

}  // namespace
}  // namespace ferry::sidecar
