// A peer that dies while a connection is being made, and a listener that is killed and started again.
#include "crash_test.hpp"

namespace ferry::test {
namespace {

class handshake_with_the_dead : public crash, public ::testing::WithParamInterface<const char*> {
 protected:
  // Messages flow between `to` and whoever arrives at `at`.
  void expect_flow(channel to, listener& at) {
    receiver_log log;
    numbered_receiver receiver(log);
    channel arrived;
    at.on_channel([&](channel one) {
      receiver.watch(one);
      arrived = std::move(one);
    });
    const numbered_sender sender(to, 1, 101);
    ASSERT_TRUE(turn([&] { return log.received() == 100; }, "messages"));
    EXPECT_EQ(log.wrong, 0u);
    to.cut();
    at.on_channel(nullptr);
  }
};

using connecting_end = handshake_with_the_dead;

TEST_P(connecting_end, that_is_killed_half_way_leaves_a_listener_that_serves_the_next) {
  listener at = listen(settings());
  std::vector<channel> came;
  std::vector<error> errors;
  std::size_t gone = 0;
  at.on_channel([&](channel one) {
    one.on_down([&](const down_info& info) {
      EXPECT_EQ(info.reason, errc::reset) << info.reason.text();
      gone += 1;
    });
    came.push_back(std::move(one));
  });
  at.on_error([&](const error& why) { errors.push_back(why); });
  std::optional<footprint> before;
  const std::uint64_t kills = rounds(8);
  for (std::uint64_t round = 0; round < kills; ++round) {
    if (round == 2) before = footprint::now();
    const auto guest = start_peer({"handshake", "meeting", GetParam()});
    ASSERT_TRUE(ready(*guest)) << guest->error_output();
    ASSERT_EQ(kill_and_reap(*guest), 137);
    ASSERT_TRUE(turn([&] { return gone + errors.size() == round + 1; }, "the news of its death"));
    came.clear();
  }
  for (const auto& why : errors) {
    EXPECT_EQ(why, errc::reset) << why.text();
    EXPECT_NE(why.text().find("shm://meeting: connection from pid "), std::string::npos) << why.text();
  }
  expect_nothing_left(*before);
  expect_flow(open(settings()), at);
}

INSTANTIATE_TEST_SUITE_P(after, connecting_end, ::testing::Values("connect", "hello", "welcome"),
                         [](const auto& step) { return std::string(step.param); });

using listening_end = handshake_with_the_dead;

TEST_P(listening_end, that_is_killed_half_way_is_replaced_without_anybody_removing_its_socket) {
  const auto dying = start_peer({"handshake", "meeting", GetParam()});
  ASSERT_TRUE(ready(*dying));
  channel to = open(reconnecting());
  std::vector<error> failures;
  bool up = false;
  to.on_connect_failure([&](const error& why) { failures.push_back(why); });
  to.on_up([&](const peer_info&) { up = true; });
  ASSERT_TRUE(ready(*dying)) << "at the step";
  if (std::string_view(GetParam()) == "answered") {
    ASSERT_TRUE(turn([&] { return up; }, "a connection"));
  }
  ASSERT_EQ(kill_and_reap(*dying), 137);
  ASSERT_TRUE(turn([&] { return to.state() == channel_state::waiting; }, "the news of its death"));
  if (up) {
    EXPECT_EQ(to.last_error(), errc::reset) << to.last_error().text();
  }
  for (const auto& why : failures) EXPECT_EQ(why.code(), condition::reconnect) << why.text();
  EXPECT_EQ(files(), std::set<std::string>{"meeting.shm"}) << "what the dead one left";
  listener at = listen(settings());
  expect_flow(to, at);
}

INSTANTIATE_TEST_SUITE_P(after, listening_end, ::testing::Values("accept", "heard", "answered"),
                         [](const auto& step) { return std::string(step.param); });

using listener_that_was_killed = crash;

TEST_F(listener_that_was_killed, is_started_again_on_its_stale_socket_and_found_by_the_same_channel) {
  channel to = open(reconnecting());
  std::uint64_t ups = 0;
  std::uint64_t downs = 0;
  to.on_up([&](const peer_info&) { ups += 1; });
  to.on_down([&](const down_info& info) {
    EXPECT_EQ(info.reason, errc::reset) << info.reason.text();
    EXPECT_EQ(info.messages_maybe_lost, 0u);
    downs += 1;
  });
  std::optional<footprint> before;
  for (std::uint64_t life = 1; life <= rounds(12); ++life) {
    if (life == 3) before = footprint::now();
    const auto at = start_peer({"host", peer_url()});
    ASSERT_TRUE(turn([&] { return ups == life; }, "a connection"));
    ASSERT_EQ(kill_and_reap(*at), 137);
    ASSERT_TRUE(turn([&] { return downs == life; }, "the news of its death"));
    EXPECT_EQ(files(), std::set<std::string>{"meeting.shm"});
  }
  expect_nothing_left(*before);
}

TEST_F(listener_that_was_killed, is_told_from_one_that_lives) {
  const auto at = start_peer({"host", peer_url()});
  ASSERT_TRUE(ready(*at));
  const auto second = listener::open(where, "shm://meeting", settings());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), errc::address_in_use) << second.error().text();
  kill_and_reap(*at);
  EXPECT_TRUE(listener::open(where, "shm://meeting", settings()));
}

}  // namespace
}  // namespace ferry::test
