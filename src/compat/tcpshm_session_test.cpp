// tcpshm's shape over persistent sessions: steps of which all happens or nothing, and large messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "testing/tcpshm_sessions.hpp"

namespace ferry::test {
namespace {

class tcpshm_session : public tcpshm_sessions {};

INSTANTIATE_TEST_SUITE_P(, tcpshm_session, ::testing::Values(false, true), name_of_shape);

// Logins --------------------------------------------------------------------------------------------------------------

TEST_P(tcpshm_session, user_data_of_both_reach_the_other_side_with_their_own_sizes) {
  sessions on;
  const std::string secret("pass\0word", 9);
  on.server->answer_data = std::string(63, '\xfe');
  ASSERT_TRUE(on.log_in(shm(), as_bytes(secret)));
  EXPECT_EQ(as_text(on.server->login_data), secret);
  EXPECT_EQ(as_text(on.client->answer_data), on.server->answer_data);
  expect_echo(on, "and messages");
  ASSERT_TRUE(on.part());
  on.server->answer_data.clear();
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_TRUE(on.server->login_data.empty());
  EXPECT_TRUE(on.client->answer_data.empty());
}

TEST_P(tcpshm_session, a_refusal_has_its_text_and_no_user_data) {
  sessions on;
  on.server->answer_data = "not for you";
  on.server->group = -1;
  on.server->refusal = "not you";
  EXPECT_FALSE(on.log_in(shm(), as_bytes("password")));
  EXPECT_EQ(as_text(on.server->login_data), "password");
  EXPECT_EQ(on.client->notes.back(), "rejected: not you");
  EXPECT_TRUE(on.client->answer_data.empty());
}

TEST_P(tcpshm_session, an_answer_with_more_user_data_than_there_is_room_for_is_a_refusal_and_an_error) {
  sessions on;
  on.server->answer_data = std::string(64, 'x');
  EXPECT_FALSE(on.log_in(shm()));
  EXPECT_EQ(on.client->notes.back(), "rejected: Invalid user data");
  EXPECT_EQ(on.server->notes.back(), "system error 22: the answer to '" + on.client_name +
                                         "' has user data of 64 bytes; protocol::ferry has at most 63");
}

// Steps ---------------------------------------------------------------------------------------------------------------

TEST_P(tcpshm_session, what_is_pushed_with_more_to_come_is_not_there_before_the_push_that_ends_it) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_FALSE(on.client->say("one", 1, true));
  ASSERT_FALSE(on.client->say("two", 1, true));
  for (int i = 0; i < 100; ++i) on.server->poll(on.now);
  EXPECT_EQ(on.server->messages, told{});
  ASSERT_FALSE(on.client->say("three"));
  ASSERT_TRUE(poll_until([&] { on.server->poll(on.now); }, [&] { return on.server->messages.size() == 3; }, "all"));
  EXPECT_EQ(on.server->messages, (told{"1 one", "1 two", "1 three"}));
}

TEST_P(tcpshm_session, a_poll_commits_what_was_pushed_with_more_to_come) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_FALSE(on.client->say("one", 1, true));
  ASSERT_TRUE(on.until([&] { return on.server->messages.size() == 1; }, "it"));
}

// What a kill leaves is what the files hold at that moment.
TEST_P(tcpshm_session, a_death_between_pop_and_push_has_done_neither) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "before");
  std::optional<snapshot> files;
  on.server->pops = false;
  ASSERT_FALSE(on.client->say("question"));
  ASSERT_TRUE(on.until([&] { return on.server->messages.back() == "1 question"; }, "it"));
  auto& member = on.member();
  ASSERT_NE(member.front(), nullptr);
  member.pop();
  ASSERT_FALSE(noting_client::say_on(member, "first half", 1, true));
  EXPECT_EQ(member.where(), (tcpshm::connection::progress{2, 2}));
  files.emplace(on.server_files);
  on.server.reset();
  files->restore();
  on.make_server();
  on.server->echoes = true;
  ASSERT_TRUE(on.until([&] { return on.client->get_connection().is_closed(); }, "the end"));
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == 2; }, "the answer"));
  EXPECT_EQ(on.client->messages, (told{"1 before", "1 question"}));
}

TEST_P(tcpshm_session, a_death_after_the_push_has_done_both) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  on.server->pops = false;
  ASSERT_FALSE(on.client->say("question"));
  ASSERT_TRUE(on.until([&] { return !on.server->messages.empty(); }, "it"));
  auto& member = on.member();
  ASSERT_NE(member.front(), nullptr);
  member.pop();
  ASSERT_FALSE(noting_client::say_on(member, "answer", 1, false));
  const snapshot files(on.server_files);
  on.server.reset();
  files.restore();
  on.make_server();
  ASSERT_TRUE(on.until([&] { return on.client->get_connection().is_closed(); }, "the end"));
  ASSERT_TRUE(on.log_in(shm()));
  EXPECT_EQ(on.member().where(), (tcpshm::connection::progress{1, 1}));
  on.server->echoes = true;
  expect_echo(on, "next");
  EXPECT_EQ(on.client->messages, (told{"1 answer", "1 next"}));
}

TEST_P(tcpshm_session, a_callback_that_throws_has_done_nothing_and_its_message_comes_again) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  bool throws = true;
  on.client->on_message = [&](const tcpshm::message&) {
    EXPECT_FALSE(on.client->say("half an answer", 1, true));
    if (throws) throw std::runtime_error("no");
  };
  ASSERT_FALSE(on.server->say(on.client_name, "question"));
  bool thrown = false;
  ASSERT_TRUE(on.until(
      [&] {
        try {
          on.poll();
        } catch (const std::runtime_error&) {
          thrown = true;
        }
        return thrown;
      },
      "it"));
  EXPECT_EQ(on.client->get_connection().where(), (tcpshm::connection::progress{0, 0}));
  throws = false;
  ASSERT_TRUE(on.until([&] { return on.server->messages.size() == 1; }, "the answer"));
  EXPECT_EQ(on.client->messages, (told{"1 question", "1 question"}));
}

// The disk ------------------------------------------------------------------------------------------------------------

TEST_P(tcpshm_session, on_disk_a_push_is_seen_after_the_next_poll_has_waited_for_the_disk_and_not_before) {
  tcpshm::options with;
  with.durable = tcpshm::durability::disk;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  for (const char* text : {"one", "two", "three"}) ASSERT_FALSE(on.client->say(text));
  for (int i = 0; i < 100; ++i) on.server->poll(on.now);
  EXPECT_EQ(on.server->messages, told{});
  on.client->poll_tcp(on.now);
  on.client->poll_shm();
  ASSERT_TRUE(poll_until([&] { on.server->poll(on.now); }, [&] { return on.server->messages.size() == 3; }, "all"));
  EXPECT_EQ(on.server->messages, (told{"1 one", "1 two", "1 three"}));
}

TEST_P(tcpshm_session, on_disk_a_death_leaves_what_the_last_poll_has_made_durable) {
  tcpshm::options with;
  with.durable = tcpshm::durability::disk;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "before");
  const auto come_back_from = [&](const snapshot& files) {
    on.client.reset();
    files.restore();
    on.make_client();
    ASSERT_TRUE(on.until([&] { return on.member().is_closed(); }, "the end"));
    ASSERT_TRUE(on.log_in(shm()));
  };
  ASSERT_FALSE(on.client->say("not durable yet"));
  EXPECT_EQ(on.client->get_connection().where(), (tcpshm::connection::progress{1, 2}));
  come_back_from(snapshot(on.client_files));
  EXPECT_EQ(on.client->get_connection().where(), (tcpshm::connection::progress{1, 1}));
  ASSERT_FALSE(on.client->say("durable"));
  on.client->poll_tcp(on.now);
  on.client->poll_shm();
  come_back_from(snapshot(on.client_files));
  EXPECT_EQ(on.client->get_connection().where().pushed, 2u);
  expect_echo(on, "after");
  EXPECT_EQ(on.server->messages, (told{"1 before", "1 durable", "1 after"}));
}

TEST_P(tcpshm_session, on_disk_what_is_pushed_while_the_peer_is_away_comes_after_the_next_login) {
  tcpshm::options with;
  with.durable = tcpshm::durability::disk;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "before");
  ASSERT_TRUE(on.part());
  ASSERT_FALSE(on.client->say("question"));
  ASSERT_FALSE(on.server->say(on.client_name, "message"));
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == 3; }, "both"));
  EXPECT_THAT(on.client->messages, ::testing::UnorderedElementsAre("1 before", "1 question", "1 message"));
}

TEST_P(tcpshm_session, on_disk_a_full_ring_has_room_again_once_the_peer_has_consumed) {
  tcpshm::options with;
  with.durable = tcpshm::durability::disk;
  with.ring_bytes = 4096;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  on.server->echoes = true;
  std::size_t sent = 0;
  ASSERT_TRUE(on.until(
      [&] {
        while (sent < 500 && !on.client->say("sixteen bytes...")) sent += 1;
        return on.client->messages.size() == 500;
      },
      "all echoes"));
}

TEST_P(tcpshm_session, on_disk_another_server_begins_a_new_session) {
  tcpshm::options with;
  with.durable = tcpshm::durability::disk;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "a");
  ASSERT_TRUE(on.part());
  const temp_dir other_files;
  on.server.reset();
  on.server = std::make_unique<noting_server>(other_files.path().string(), "other", on.server_options);
  ASSERT_TRUE(on.server->start("127.0.0.1", 0));
  ASSERT_TRUE(on.log_in(shm()));
  expect_echo(on, "b");
  EXPECT_EQ(on.client->get_connection().where(), (tcpshm::connection::progress{1, 1}));
}

// Messages ------------------------------------------------------------------------------------------------------------

TEST_P(tcpshm_session, messages_of_many_mebibytes_go_both_ways_whole) {
  tcpshm::options with;
  with.ring_bytes = 128u << 20;
  with.max_message = 16u << 20;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  for (const std::size_t size : {std::size_t{65'528}, std::size_t{1} << 20, std::size_t{16} << 20}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 >> 3);
    expect_echo(on, text);
  }
  EXPECT_EQ(on.client->get_connection().alloc((16u << 20) + 1), nullptr) << "above max_message";
}

TEST_P(tcpshm_session, a_header_says_the_size_of_a_large_message_too) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  auto& conn = on.client->get_connection();
  for (const std::size_t size : {0u, 512u, 513u, 65'527u, 65'528u, 200'000u}) {
    const tcpshm::message_header* const at = conn.alloc(size);
    ASSERT_NE(at, nullptr) << size;
    EXPECT_EQ(at->whole_size(), size + 8);
    EXPECT_EQ(at->size, std::min<std::size_t>(size + 8, 65'535));
  }
  EXPECT_EQ(conn.alloc((256u << 10) + 1), nullptr) << "more than max_message";
}

TEST_P(tcpshm_session, a_message_may_have_no_type) {
  sessions on;
  ASSERT_TRUE(on.log_in(shm()));
  on.server->echoes = true;
  for (const std::size_t size : {0u, 3u, 600u, 100'000u}) {
    on.client->messages.clear();
    const auto text = std::string().append(size, 'x');
    ASSERT_FALSE(on.client->say(text, 0));
    ASSERT_TRUE(on.until([&] { return !on.client->messages.empty(); }, "an echo"));
    EXPECT_EQ(on.client->messages[0], "0 " + text);
  }
}

TEST_P(tcpshm_session, a_full_ring_takes_no_more_until_the_peer_has_consumed) {
  tcpshm::options with;
  with.ring_bytes = 4096;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  on.server->pops = false;
  std::size_t pushed = 0;
  while (!on.client->say("sixteen bytes...")) pushed += 1;
  EXPECT_GT(pushed, 64u);
  on.server->messages.clear();
  on.server->pops = true;
  ASSERT_TRUE(on.until([&] { return on.server->messages.size() >= pushed; }, "all"));
  ASSERT_TRUE(on.until([&] { return !on.client->say("one more"); }, "room"));
  ASSERT_TRUE(on.until([&] { return on.server->messages.back() == "1 one more"; }, "it"));
}

// Acknowledgements lie behind messages that the server cannot take before it has the room that they give.
TEST_P(tcpshm_session, a_server_without_room_for_an_answer_gets_it_from_behind_the_messages_that_wait) {
  tcpshm::options with;
  with.ring_bytes = 32u << 20;
  with.tcp_recv_initial = with.tcp_recv_max = 4096;
  sessions on(with, with);
  ASSERT_TRUE(on.log_in(shm()));
  on.server->echoes = true;
  on.client->pops = false;
  const auto text = std::string().append(100'000, 'x');
  std::size_t sent = 0;
  for (int idle = 0; idle < 200; ++idle) {
    const auto before = on.server->messages.size();
    while (!on.client->say(text)) sent += 1;
    on.poll();
    on.client->messages.clear();
    if (on.server->messages.size() != before) idle = 0;
  }
  EXPECT_LT(on.server->messages.size(), sent) << "both rings are full";
  on.client->pops = true;
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == sent; }, "all answers"));
}

}  // namespace
}  // namespace ferry::test
