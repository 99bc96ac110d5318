// What native rings have besides: a doorbell, pieces, a choice. Services and the sidecar over real files and sockets.
#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "os/mapping.hpp"
#include "sidecar/native_plane.hpp"
#include "sidecar/sidecar.hpp"
#include "testing/sidecar_by_hand.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

class native_rings : public ::testing::Test {
 protected:
  native_rings() {
    for (const std::uint32_t entity : {101u, 201u}) with.entities.push_back(test::small_entity(dir, entity));
    with.message_age = {};
    with.registration_timeout = with.heartbeat_timeout = 1h;  // a look at either would be a handler
  }
  void open() {
    auto made = sidecar::daemon::open(beside_where, with);
    ASSERT_TRUE(made) << made.error().text();
    beside.emplace(std::move(*made));
  }
  [[nodiscard]] service_options options_for(std::uint32_t entity) const { return test::small_service(dir, entity); }
  [[nodiscard]] service start(const service_options& options) {
    auto made = service::make(where, options).value();
    EXPECT_TRUE(made.start());
    EXPECT_TRUE(until([&] { return made.state() == service_state::registered; }, "the registration"));
    return made;
  }
  /// One that writes natively, as the sidecar knows.
  [[nodiscard]] service native(std::uint32_t entity) {
    auto made = start(options_for(entity));
    EXPECT_TRUE(until([&] { return made.rings() == service_rings::native; }, "native rings"));
    return made;
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult until(Done done, std::string_view awaited) {
    return test::run_until(
        io,
        [&] {
          beside_io.restart();
          beside_io.poll();
          return done();
        },
        awaited);
  }
  /// Until neither has a handler to run for a while.
  void let_all_fall_asleep() {
    const auto is_quiet = [&] {
      // The last look is behind the end: this thread may have been kept from running meanwhile.
      const auto end = std::chrono::steady_clock::now() + 20ms;
      for (bool over = false; !over;) {
        over = std::chrono::steady_clock::now() >= end;
        if (turns() != 0) return false;
      }
      return true;
    };
    ASSERT_TRUE(until(is_quiet, "silence"));
  }
  /// Handlers that both run now.
  [[nodiscard]] std::size_t turns() {
    io.restart();
    beside_io.restart();
    const auto here = io.poll();
    return here + beside_io.poll();
  }

  test::temp_dir dir;
  boost::asio::io_context io, beside_io;
  context where{io}, beside_where{beside_io};
  sidecar::settings with;
  std::optional<sidecar::daemon> beside;
};

TEST_F(native_rings, wake_nobody_while_nothing_is_sent_and_the_receiver_when_something_is) {
  open();
  auto one = native(101), two = native(201);
  int received = 0;
  one.on_message([&](const service_message&) { received += 1; });
  two.on_message([&](const service_message& asked) {
    received += 1;
    EXPECT_TRUE(two.reply(asked, {}, asked.body));
  });
  for (int round = 1; round <= 5; ++round) {
    let_all_fall_asleep();
    const auto end = std::chrono::steady_clock::now() + 300ms;
    std::size_t handlers = 0;
    while (std::chrono::steady_clock::now() < end) handlers += turns();
    EXPECT_EQ(handlers, 0u) << "in round " << round;
    ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes("wake up")));
    ASSERT_TRUE(until([&] { return received == 2 * round; }, "the question and its answer"));
  }
}

TEST_F(native_rings, carry_a_message_above_half_a_ring_in_both_directions) {
  open();
  auto one = native(101), two = native(201);
  std::string answer;
  one.on_message([&](const service_message& got) { answer = as_text(got.body); });
  two.on_message([&](const service_message& asked) { EXPECT_TRUE(two.reply(asked, {}, asked.body)); });
  for (const std::size_t size : {20'000u, 33'000u, 50'000u, 100u, 55'000u}) {
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i % 23);
    ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes(body))) << size;
    ASSERT_TRUE(until([&] { return answer == body; }, "the answer"));
  }
  EXPECT_EQ(one.send({.to = to_entity{201}}, {}, as_bytes(std::string(70'000, 'x'))).error(), errc::message_too_large);
}

TEST_F(native_rings, pass_what_is_in_one_record_and_for_one_entity_on_the_short_way_and_count_it_as_all_else) {
  open();
  auto one = native(101), two = native(201);
  std::size_t received = 0, answered = 0;
  std::uint64_t bytes_before = 0;
  two.on_message([&](const service_message& asked) {
    received += 1;
    EXPECT_TRUE(two.reply(asked, {}, asked.body));
  });
  one.on_message([&](const service_message&) { answered += 1; });
  const auto say = [&](const service_destination& to, std::size_t size) {
    ASSERT_TRUE(one.send({.message_id = "Say", .to = to}, {.message_id = "say"}, as_bytes(std::string(size, 'x'))));
    const auto wanted = received + 1;
    ASSERT_TRUE(until([&] { return received == wanted && answered == wanted; }, "the message and its answer"));
    const auto pipes = beside->pipes();
    EXPECT_EQ(pipes[0].counts.received, received);
    EXPECT_EQ(pipes[0].counts.delivered, received);
    EXPECT_EQ(pipes[1].counts.received, received);
    EXPECT_EQ(pipes[1].counts.delivered, received);
    EXPECT_EQ(pipes[0].from.messages, received);
    EXPECT_EQ(pipes[0].counts.received_bytes, pipes[1].counts.delivered_bytes);
    EXPECT_GT(pipes[0].counts.received_bytes, bytes_before + size);
    bytes_before = pipes[0].counts.received_bytes;
    EXPECT_EQ(beside->stats().data.forwarded, 2 * received);
  };
  for (std::size_t i = 0; i < 100; ++i) say(to_entity{201}, i);
  EXPECT_EQ(beside->stats().data.passed_on, 200u);
  say(to_entity{201}, 30'000);
  EXPECT_EQ(beside->stats().data.passed_on, 200u) << "in several records";
  say(to_all{2}, 10);
  EXPECT_EQ(beside->stats().data.passed_on, 201u) << "only the answer";
  ASSERT_TRUE(one.send({.from = 7, .to = to_entity{201}}, {}, {}));
  ASSERT_TRUE(one.send({.to = to_entity{999}}, {}, {}));
  ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, {}));
  ASSERT_TRUE(until([&] { return answered == 103; }, "the last answer"));
  EXPECT_EQ(beside->pipes()[0].counts.malformed, 1u) << "which says another source";
  EXPECT_EQ(beside->stats().data.undeliverable[std::size_t(session::unroutable::unknown_entity)], 1u);
  EXPECT_EQ(beside->stats().data.passed_on, 203u);
}

TEST_F(native_rings, lead_to_another_instance_of_the_entity_from_the_next_message_on) {
  with.entities[1].pipes = 2;
  open();
  auto one = native(101);
  auto of_two = options_for(201);
  of_two.pipes = 2;
  const auto start_natively = [&] {
    auto made = start(of_two);
    EXPECT_TRUE(until([&] { return made.rings() == service_rings::native; }, "native rings"));
    return made;
  };
  auto first = start_natively(), second = start_natively();
  std::vector<std::string> at_first, at_second;
  first.on_message([&](const service_message& what) { at_first.emplace_back(as_text(what.body)); });
  second.on_message([&](const service_message& what) { at_second.emplace_back(as_text(what.body)); });
  const auto say = [&](const char* what) {
    ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes(std::string_view(what))));
    const auto all = at_first.size() + at_second.size() + 1;
    ASSERT_TRUE(until([&] { return at_first.size() + at_second.size() == all; }, what));
  };
  say("to the first one");
  std::optional<error_code> changed;
  second.async_change_route([&](error_code failed) { changed = failed; });
  ASSERT_TRUE(until([&] { return changed.has_value(); }, "the change"));
  say("to the second one");
  second.close();
  ASSERT_TRUE(until(
      [&] {
        return beside->pipes()[1].where == sidecar::pipe::state::idle ||
               beside->pipes()[2].where == sidecar::pipe::state::idle;
      },
      "its end"));
  say("to the first one again");
  EXPECT_EQ(at_first, (std::vector<std::string>{"to the first one", "to the first one again"}));
  EXPECT_EQ(at_second, (std::vector<std::string>{"to the second one"}));
  EXPECT_EQ(beside->stats().data.passed_on, 3u);
}

TEST_F(native_rings, are_not_given_where_the_sidecar_is_told_not_to) {
  with.entities[1].native = false;
  open();
  auto one = native(101);
  auto two = start(options_for(201));
  std::string got;
  two.on_message([&](const service_message& what) { got = as_text(what.body); });
  ASSERT_TRUE(one.send({.to = to_entity{201}}, {.message_id = "Say"}, as_bytes("translated")));
  ASSERT_TRUE(until([&] { return got == "translated"; }, "the message"));
  EXPECT_EQ(two.rings(), service_rings::compatible);
  EXPECT_FALSE(std::filesystem::exists(with.entities[1].directory + "/send.shm.ring"));
}

TEST_F(native_rings, keep_what_was_sent_before_the_registration_and_while_the_sidecar_was_gone) {
  open();
  auto two = native(201);
  std::vector<std::string> got;
  two.on_message([&](const service_message& what) { got.emplace_back(as_text(what.body)); });
  beside.reset();
  auto one = service::make(where, options_for(101)).value();
  ASSERT_TRUE(one.start());
  ASSERT_TRUE(until([&] { return one.state() != service_state::none; }, "the rings"));
  std::vector<std::string> sent;
  const auto say = [&](const std::string& what) {
    sent.push_back(what);
    ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes(what)));
  };
  for (int i = 0; i < 5; ++i) say("before it was there " + std::to_string(i));
  open();
  ASSERT_TRUE(until([&] { return one.rings() == service_rings::native; }, "native rings"));
  for (int i = 0; i < 5; ++i) say("natively " + std::to_string(i));
  beside.reset();
  for (int i = 0; i < 5; ++i) say("while it was gone " + std::to_string(i));
  ASSERT_TRUE(until([&] { return one.state() == service_state::connecting; }, "the loss"));
  open();
  ASSERT_TRUE(until([&] { return got.size() >= sent.size(); }, "all of it"));
  EXPECT_EQ(got, sent);
}

TEST_F(native_rings, fall_back_to_compatible_ones_where_another_sidecar_comes_and_tell_what_is_lost) {
  open();
  auto one = native(101);
  beside.reset();
  ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes("nobody will read this")));
  error lost;
  one.on_fault([&](const error& why) { lost = why; });
  with.entities[0].native = false;
  std::filesystem::remove(with.entities[0].directory + "/send.shm.ring");
  open();
  ASSERT_TRUE(until([&] { return one.rings() == service_rings::compatible; }, "compatible rings"));
  ASSERT_TRUE(until([&] { return lost == errc::closed; }, "what is lost"));
  auto two = native(201);
  std::string got;
  two.on_message([&](const service_message& what) { got = as_text(what.body); });
  ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes("this way")));
  ASSERT_TRUE(until([&] { return got == "this way"; }, "the message"));
}

// Another process of the same user writes nonsense where the sidecar and the service read.
TEST_F(native_rings, with_nonsense_in_them_are_given_up_and_made_anew_and_harm_nobody_else) {
  open();
  for (const char* name : {"/send.shm.ring", "/recv.shm.ring"})
    for (const std::size_t offset : {4096u + 256u, 2u * 4096u, 2u * 4096u + 8u}) {
      SCOPED_TRACE(std::string(name) + " at " + std::to_string(offset));
      auto two = native(201);
      std::string got;
      two.on_message([&](const service_message& what) { got = as_text(what.body); });
      {
        auto one = native(101);
        int received = 0;
        one.on_message([&](const service_message&) { received += 1; });
        const auto path = with.entities[0].directory + name;
        const auto file = os::open_file(path, true).value();
        auto memory = os::mapping::of(file.get(), os::file_size(file.get(), path).value(), true).value();
        for (int i = 0; i < 3; ++i) {
          (void)one.send({.to = to_entity{201}}, {}, as_bytes("overwritten"));
          (void)two.send({.to = to_entity{101}}, {}, as_bytes("overwritten"));
          std::memset(memory.data() + offset, 0xee, 16);
          for (int turn = 0; turn < 200; ++turn) (void)turns();
        }
        ASSERT_TRUE(two.send({.to = to_entity{201}}, {}, as_bytes("to itself")));
        ASSERT_TRUE(until([&] { return got == "to itself"; }, "its own message"));
        one.close();
      }
      ASSERT_TRUE(until([&] { return beside->pipes()[0].where == sidecar::pipe::state::idle; }, "a pipe to be used"));
      auto again = native(101);
      got.clear();
      ASSERT_TRUE(again.send({.to = to_entity{201}}, {}, as_bytes("well again")));
      ASSERT_TRUE(until([&] { return got == "well again"; }, "the message"));
    }
}

TEST_F(native_rings, whose_bell_was_replaced_are_heard_of_when_somebody_comes_next) {
  with.heartbeat_timeout = 1h;  // so that nothing else wakes the sidecar
  open();
  auto two = native(201);
  int received = 0;
  two.on_message([&](const service_message& asked) { EXPECT_TRUE(two.reply(asked, {}, asked.body)); });
  for (const char* name : {"/send.shm.bell", "/recv.shm.bell"}) {
    SCOPED_TRACE(name);
    { auto before = native(101); }
    ASSERT_TRUE(until([&] { return beside->pipes()[0].where == sidecar::pipe::state::idle; }, "a pipe to be used"));
    const auto bell = with.entities[0].directory + name;
    ASSERT_EQ(::unlink(bell.c_str()), 0);
    ASSERT_EQ(::mkfifo(bell.c_str(), 0600), 0);
    auto one = native(101);
    received = 0;
    one.on_message([&](const service_message&) { received += 1; });
    let_all_fall_asleep();
    ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes("wake up")));
    ASSERT_TRUE(until([&] { return received == 1; }, "the answer"));
  }
}

TEST_F(native_rings, keep_nobody_awake_with_a_message_that_is_not_whole) {
  open();
  auto one = native(101);
  const auto ring = sidecar::native_ring::open(with.entities[0].directory + "/send.shm", true).value();
  auto& line = ring.shared().rings[0];
  const auto found = ring_scan(ring.records(), line).value();
  ring_producer by_hand(ring.records(), line, found.tail, found.sequence);
  std::string begin(100, 'x');
  const ring_tag tag{0, 0, 1000};
  std::memcpy(begin.data(), &tag, sizeof tag);
  ASSERT_TRUE(by_hand.try_push(as_bytes(begin), ring_marks::tagged | ring_marks::more));
  const auto bell = os::wake_pipe::open(with.entities[0].directory + "/send.shm.bell").value();
  bell.ring();
  let_all_fall_asleep();
  ASSERT_TRUE(by_hand.try_push(as_bytes(std::string(908, 'x'))));
  bell.ring();
  ASSERT_TRUE(until([&] { return beside->pipes()[0].counts.received == 1; }, "all of it"));
}

TEST_F(native_rings, are_read_by_a_program_that_polls_and_nobody_is_woken_for_it) {
  open();
  auto one = native(101), two = native(201);
  int received = 0;
  two.on_message([&](const service_message& what) {
    received += 1;
    EXPECT_EQ(two.poll(), 0u) << "from inside a handler";
    EXPECT_TRUE(two.reply(what, {}, what.body));
  });
  std::string got;
  one.on_message([&](const service_message& what) { got = as_text(what.body); });
  EXPECT_EQ(two.poll(), 0u);
  for (int i = 0; i < 100; ++i) {
    const auto body = std::to_string(i);
    ASSERT_TRUE(one.send({.to = to_entity{201}}, {}, as_bytes(body)));
    ASSERT_TRUE(until([&] { return two.poll() == 1; }, "a message"));
    ASSERT_TRUE(until([&] { return got == body; }, "its answer"));
  }
  EXPECT_EQ(received, 100);
}

}  // namespace
}  // namespace ferry
