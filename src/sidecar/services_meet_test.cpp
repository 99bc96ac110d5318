// Services as <ferry/sidecar.hpp> has them and the sidecar, over real files and sockets.
#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sidecar/sidecar.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

constexpr std::size_t k_under_way = 20;  // questions; their answers fit into every ring

/// Which rings the services ask for.
enum class asking : std::uint8_t { compatible, native, mixed };

class services_meet : public ::testing::TestWithParam<asking> {
 protected:
  services_meet() {
    for (const std::uint32_t entity : {101u, 201u, 202u}) with.entities.push_back(test::small_entity(dir, entity, 2));
    with.message_age = {};
    open();
  }
  void open() {
    auto made = sidecar::daemon::open(where, with);
    if (!made) throw failure(made.error().reason(), 0, made.error().text());
    beside.emplace(std::move(*made));
  }
  /// Registered.
  [[nodiscard]] service start(std::uint32_t entity, std::uint64_t version = 0, bool wants_main = false) {
    service_options options;
    options.number = entity / 100;
    options.entity = entity;
    options.version = version;
    options.static_weight = 100;
    options.wants_main = wants_main;
    options.directory = dir.file(std::to_string(entity));
    options.pipes = 2;
    options.retry_interval = std::chrono::milliseconds(20);
    options.message_validity = {};
    const bool native = GetParam() == asking::native || (GetParam() == asking::mixed && (entity + version) % 2 == 0);
    options.rings = native ? service_rings::native : service_rings::compatible;
    auto made = service::make(where, options).value();
    EXPECT_TRUE(made.start());
    EXPECT_TRUE(until([&] { return made.state() == service_state::registered && made.rings() == options.rings; },
                      "the registration"));
    return made;
  }
  static void answer_all(service& one) {
    one.on_message([&one](const service_message& asked) {
      EXPECT_TRUE(
          one.reply(asked, {.message_id = "Answer", .client_sequence = asked.package.client_sequence}, asked.body));
    });
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult until(Done done, std::string_view awaited) {
    return test::run_until(io, done, awaited);
  }

  test::temp_dir dir;
  boost::asio::io_context io;
  context where{io};
  sidecar::settings with;
  std::optional<sidecar::daemon> beside;
};

INSTANTIATE_TEST_SUITE_P(rings, services_meet, ::testing::Values(asking::compatible, asking::native, asking::mixed),
                         [](const auto& of) {
                           switch (of.param) {
                             case asking::compatible: return "compatible";
                             case asking::native: return "native";
                             case asking::mixed: return "mixed";
                           }
                           return "none";
                         });

TEST_P(services_meet, and_ask_each_other_through_the_sidecar) {
  auto client = start(101);
  auto server = start(201);
  answer_all(server);
  std::vector<std::string> answers;
  client.on_message([&](const service_message& got) {
    EXPECT_EQ(got.route.from, 201u);
    EXPECT_TRUE(client.is_to_current_instance(got));
    answers.push_back(std::to_string(got.package.client_sequence) + " " + std::string(as_text(got.body)));
  });
  std::vector<std::string> wanted;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const auto body = std::string(i * 13 % 2000, static_cast<char>('a' + i % 26));
    wanted.push_back(std::to_string(i) + " " + body);
    ASSERT_TRUE(until([&] { return i < answers.size() + k_under_way; }, "an answer"));
    ASSERT_TRUE(client.send({.to = to_entity{201}}, {.client_sequence = i}, as_bytes(body)));
  }
  ASSERT_TRUE(until([&] { return answers.size() == wanted.size(); }, "the answers"));
  EXPECT_EQ(answers, wanted);
}

TEST_P(services_meet, all_of_one_service_or_one_of_them) {
  auto client = start(101);
  auto one = start(201);
  auto two = start(202);
  int at_one = 0, at_two = 0;
  one.on_message([&](const service_message&) { at_one += 1; });
  two.on_message([&](const service_message&) { at_two += 1; });
  ASSERT_TRUE(client.send({.to = to_all{2, 0}}, {}, as_bytes("to all")));
  ASSERT_TRUE(until([&] { return at_one == 1 && at_two == 1; }, "both"));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.send({.to = to_any{2}}, {}, {}));
  ASSERT_TRUE(until([&] { return at_one + at_two == 102; }, "a hundred"));
  EXPECT_GT(at_one, 1);
  EXPECT_GT(at_two, 1);
  const auto before = at_one;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.send({.to = to_any{2, 7}}, {}, {}));
  ASSERT_TRUE(until([&] { return at_one + at_two == 122; }, "those of one key"));
  EXPECT_TRUE(at_one == before || at_one == before + 20) << "one key, one of them";
}

TEST_P(services_meet, know_how_full_their_rings_have_been) {
  auto client = start(101);
  auto server = start(201);
  (void)client.take_usage();
  (void)server.take_usage();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(client.send({.to = to_entity{201}}, {}, as_bytes(std::string(1000, 'x'))));
  ASSERT_TRUE(until([&] { return server.unread_bytes() > 30'000; }, "all in the ring of the receiver"));
  int received = 0;
  server.on_message([&](const service_message&) { received += 1; });
  ASSERT_TRUE(until([&] { return received == 30; }, "all of them"));
  EXPECT_GE(client.take_usage().send_percent, 40u);
  EXPECT_GE(server.take_usage().receive_percent, 40u);
  EXPECT_EQ(client.take_usage().send_percent, 0u) << "since it was asked last";
  EXPECT_EQ(server.take_usage().receive_percent, 0u);
}

TEST_P(services_meet, go_on_when_the_sidecar_comes_again) {
  auto client = start(101);
  auto server = start(201);
  answer_all(server);
  int answers = 0;
  client.on_message([&](const service_message&) { answers += 1; });
  beside.reset();
  ASSERT_TRUE(
      until([&] { return client.state() == service_state::connecting && server.state() == service_state::connecting; },
            "the loss"));
  ASSERT_TRUE(client.send({.to = to_entity{201}}, {}, as_bytes("meanwhile")));
  open();
  ASSERT_TRUE(until([&] { return answers == 1; }, "the answer to what was sent meanwhile"));
}

TEST_P(services_meet, hand_on_to_the_other_instance_what_is_for_it) {
  auto client = start(101);
  auto old_one = start(201, 1);
  auto new_one = start(201, 2);
  std::vector<std::string> handed_on;
  old_one.on_message([&](const service_message& got) {
    EXPECT_FALSE(old_one.is_to_current_instance(got));
    EXPECT_TRUE(old_one.forward(got));
  });
  new_one.on_message([&](const service_message& got) {
    EXPECT_TRUE(new_one.is_to_current_instance(got));
    EXPECT_EQ(got.route.from, 101u);
    handed_on.emplace_back(as_text(got.body));
  });
  const auto pipe = std::to_string(*new_one.pipe());
  const std::vector<service_note> notes{{"201ShmPipeIdx", pipe}};
  ASSERT_TRUE(client.send({.to = to_entity{201}}, {.notes = notes}, as_bytes("for the new one")));
  ASSERT_TRUE(until([&] { return !handed_on.empty(); }, "the message"));
  EXPECT_EQ(handed_on, std::vector<std::string>{"for the new one"});
}

TEST_P(services_meet, who_stands_by_is_told_that_it_is_the_main_instance_and_stays_registered) {
  auto client = start(101);
  auto main = start(201, 1);
  auto second = start(201, 2, true);
  answer_all(second);
  std::vector<bool> is_main;
  second.on_registered([&](const service_registration& now) { is_main.push_back(now.is_main); });
  main.close();
  ASSERT_TRUE(until([&] { return !is_main.empty(); }, "the news"));
  EXPECT_EQ(is_main, std::vector<bool>{true});
  int answers = 0;
  client.on_message([&](const service_message&) { answers += 1; });
  ASSERT_TRUE(client.send({.to = to_entity{201}}, {}, as_bytes("to whoever is the main one")));
  ASSERT_TRUE(until([&] { return answers == 1; }, "the answer"));
  EXPECT_EQ(second.stats().registrations, 1u) << "over the connection that it had";
  EXPECT_EQ(second.state(), service_state::registered);
}

// Questions go on and on while instances of the server take over from each other: each is answered once.
TEST_P(services_meet, while_an_instance_is_replaced_nothing_is_lost_or_comes_twice) {
  auto client = start(101);
  std::vector<int> answered;
  std::size_t answers = 0;
  client.on_message([&](const service_message& got) {
    answers += 1;
    const auto number = got.package.client_sequence;
    if (answered.size() <= number) answered.resize(number + 1);
    answered[number] += 1;
  });
  std::uint32_t asked = 0;
  const auto ask = [&] {
    if (asked < answers + k_under_way &&
        client.send({.to = to_entity{201}}, {.client_sequence = asked}, as_bytes("question")))
      asked += 1;
  };
  std::uint64_t version = 1;
  auto serving = start(201, version);
  answer_all(serving);
  for (int round = 0; round < 30; ++round) {
    auto next = start(201, ++version);
    EXPECT_NE(next.pipe(), serving.pipe());
    EXPECT_TRUE(serving.other_instance_is_there().value());
    answer_all(next);
    std::optional<error_code> changed;
    next.async_change_route([&](error_code failed) { changed = failed; });
    ASSERT_TRUE(until(
        [&] {
          ask();
          return changed.has_value();
        },
        "the change of the route"));
    ASSERT_FALSE(changed->failed()) << changed->message();
    ASSERT_TRUE(until(
        [&] {
          ask();
          return serving.unread_bytes() == 0;
        },
        "the old instance's ring to be empty"));
    std::optional<error_code> stopped;
    serving.async_stop(test::k_patience, [&](error_code failed) { stopped = failed; });
    ASSERT_TRUE(until(
        [&] {
          ask();
          return stopped.has_value();
        },
        "the end of the old instance"));
    EXPECT_FALSE(stopped->failed()) << stopped->message();
    // The handler of who serves now refers to it.
    serving = next;
    answer_all(serving);
  }
  ASSERT_GT(asked, 100u);
  ASSERT_TRUE(until([&] { return answers >= asked; }, "the last answer"));
  EXPECT_EQ(answers, asked);
  EXPECT_TRUE(std::all_of(answered.begin(), answered.end(), [](int times) { return times == 1; }));
}

}  // namespace
}  // namespace ferry
