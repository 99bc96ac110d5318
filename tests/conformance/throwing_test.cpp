// Handlers that throw: what they throw leaves the event loop, and the channel goes on where it was.
#include <algorithm>
#include <functional>
#include <stdexcept>

#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

[[noreturn]] void fail() { throw std::domain_error("thrown by a handler"); }

/// turn(), again and again; what handlers throw meanwhile is told to `caught`.
[[nodiscard]] ::testing::AssertionResult turn_through(any_transport& all, const std::function<bool()>& done,
                                                      std::string_view awaited, const std::function<void()>& caught) {
  for (;;) {
    try {
      return all.turn(done, awaited);
    } catch (const std::domain_error&) {
      caught();
    }
  }
}

TEST_P(transport, delivers_what_follows_a_message_whose_handler_threw) {
  join();
  life at_client;
  at_client.receive(client);
  std::vector<std::string> seen;
  int thrown = 0, caught = 0;
  server.on_message([&](const message_view& m) {
    EXPECT_EQ(caught, thrown) << "delivered before the exception had left";
    seen.emplace_back(m.text());
    ASSERT_TRUE(server.try_send(m.payload, m.kind));
    const bool again = std::count(seen.begin(), seen.end(), seen.back()) > 1;
    if (again || (seen.back() != "b" && seen.back() != "c")) return;
    ++thrown;
    fail();
  });
  for (const char* text : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn_through(
      *this, [&] { return at_client.messages.size() == 5; }, "five answers", [&] { ++caught; }));
  EXPECT_EQ(caught, 2);
  EXPECT_EQ(at_client.messages, (std::vector<std::string>{"a", "b", "c", "d", "e"}));
  // In a session, what was thrown out of has not happened.
  EXPECT_EQ(seen, with_.is_session() ? (std::vector<std::string>{"a", "b", "b", "c", "c", "d", "e"})
                                     : (std::vector<std::string>{"a", "b", "c", "d", "e"}));
}

TEST_P(transport, goes_on_with_what_was_queued_after_a_handler_threw) {
  join();
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(client.try_send(text));
  ASSERT_TRUE(turn([&] { return server.stats().receive_queue_messages == 3; }, "three messages"));
  std::vector<std::string> seen;
  int caught = 0;
  server.on_message([&](const message_view& m) {
    if (caught == 0) fail();
    seen.emplace_back(m.text());
  });
  // A session has what nobody took in the peer's ring still, and it comes again; a queue has handed it out.
  const std::vector<std::string> all =
      with_.is_session() ? std::vector<std::string>{"a", "b", "c"} : std::vector<std::string>{"b", "c"};
  ASSERT_TRUE(turn_through(
      *this, [&] { return seen.size() == all.size(); }, "the rest", [&] { ++caught; }));
  EXPECT_EQ(caught, 1);
  EXPECT_EQ(seen, all);
}

TEST_P(transport, connects_works_and_ends_though_every_handler_of_its_life_throws) {
  int thrown = 0, caught = 0;
  bool peer_ended = false;
  const auto throws = [&](const auto&...) {
    ++thrown;
    fail();
  };
  const auto count = [&] { ++caught; };
  listening = listen(settings());
  listening.on_channel([&](channel arrived) {
    server = std::move(arrived);
    server.on_up(throws);
    server.on_down(throws);
    server.on_peer_end([&] {
      peer_ended = true;
      throws();
    });
    throws();
  });
  client = open(connect_url(listening), settings());
  client.on_up(throws);
  client.on_down(throws);
  client.on_peer_end(throws);
  client.on_attempt(throws);
  ASSERT_TRUE(turn_through(
      *this, [&] { return server && client.state() == channel_state::up; }, "both ends", count));
  ASSERT_TRUE(client.try_send("question"));
  ASSERT_TRUE(turn_through(
      *this, [&] { return server.stats().receive_queue_messages == 1; }, "a message", count));
  ASSERT_TRUE(server.try_send("answer"));
  ASSERT_TRUE(turn_through(
      *this, [&] { return client.stats().receive_queue_messages == 1; }, "a message back", count));
  if (with_.is_session() || with_.is_tcpshm()) {
    client.cut();
    server.cut();
  } else {
    client.half_close();
    EXPECT_EQ(server.try_receive()->text(), "question");
    const auto told = [&] {
      (void)server.try_receive();  // the end is told to who has asked for more
      return peer_ended;
    };
    ASSERT_TRUE(turn_through(*this, told, "the client's end", count));
    server.half_close();
  }
  ASSERT_TRUE(turn_through(
      *this, [&] { return client.state() == channel_state::closed && server.state() == channel_state::closed; },
      "the end", count));
  ASSERT_TRUE(turn_through(
      *this, [&] { return thrown >= 5 && caught == thrown; }, "arrival, two ups, two downs", count));
}

TEST_P(transport, tries_on_after_the_handler_of_a_failed_attempt_threw) {
  listening = listen(settings());
  const std::string url = connect_url(listening);
  listening.close();
  options with = settings();
  with.reconnect = true;
  int caught = 0;
  client = open(url, with);
  client.on_connect_failure([](const error&) { fail(); });
  ASSERT_TRUE(turn_through(
      *this, [&] { return caught == 2; }, "two failures", [&] { ++caught; }));
}

}  // namespace
}  // namespace ferry::test
