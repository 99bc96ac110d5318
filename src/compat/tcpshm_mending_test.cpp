// A client and a server of tcpshm's protocol whose numbers do not fit together, mended from outside.
#include <ferry/session_files.hpp>

#include <filesystem>
#include <optional>

#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

class tcpshm_mending : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(on.log_in(false));
    talk(3);
    backups.emplace();
    leave();
    for (const bool client : {true, false}) std::filesystem::copy_file(file(client), kept(client));
    join();
  }
  [[nodiscard]] session_key key(bool client) const {
    const auto& mine = client ? on.client_name : on.server_name;
    const auto& other = client ? on.server_name : on.client_name;
    return {(client ? on.client_files : on.server_files).path(), mine, other, session_format::tcpshm};
  }
  [[nodiscard]] std::string file(bool client) const {
    const auto of = key(client);
    return of.dir + "/" + of.as + "_" + of.peer + ".ptcp";
  }
  [[nodiscard]] std::string kept(bool client) const { return backups->file(client ? "client" : "server"); }
  /// As it was after three messages each way.
  void restore(bool client) const {
    std::filesystem::copy_file(kept(client), file(client), std::filesystem::copy_options::overwrite_existing);
  }
  /// Each message is answered, and everything is acknowledged.
  void talk(std::size_t messages) {
    on.server->echoes = true;
    const auto heard = on.server->messages.size(), answered = on.client->messages.size();
    for (std::size_t i = 0; i < messages; ++i) ASSERT_FALSE(on.client->say("message"));
    ASSERT_TRUE(on.until(
        [&] {
          return on.client->messages.size() == answered + messages &&
                 on.client->get_connection().unacknowledged_bytes() == 0 && on.member().unacknowledged_bytes() == 0;
        },
        "the echoes"));
    EXPECT_EQ(on.server->messages.size(), heard + messages);
  }
  void leave() {
    on.client->stop();
    on.server->stop();
  }
  void join() {
    on.make_server();
    on.make_client();
    ASSERT_TRUE(on.log_in(false)) << on.client->notes.back();
  }
  void meet_and_fail() {
    on.make_server();
    on.make_client();
    ASSERT_FALSE(on.log_in(false));
    ASSERT_TRUE(on.client->notes.back().starts_with("mismatch:")) << on.client->notes.back();
    ASSERT_TRUE(on.until([&] { return on.server->notes.back().starts_with("mismatch of"); }, "the server's callback"));
    leave();
  }

  [[nodiscard]] static tcpshm::options prompt() {
    tcpshm::options with;
    with.acknowledge_bytes = 1;
    return with;
  }

  tcpshm_pair on{prompt(), prompt()};
  std::optional<temp_dir> backups;
};

TEST_F(tcpshm_mending, both_sides_keep_six_numbers_that_do_not_fit_and_talk_on_once_the_client_accepts_the_others) {
  talk(2);
  leave();
  restore(true);
  meet_and_fail();
  const session_counts clients{3, 3, 3}, servers{5, 5, 5};
  const auto seen_by_client = show_session(key(true)), seen_by_server = show_session(key(false));
  ASSERT_TRUE(seen_by_client.mismatch && seen_by_server.mismatch);
  EXPECT_EQ(seen_by_client.mismatch->local, clients);
  EXPECT_EQ(seen_by_client.mismatch->remote, servers);
  EXPECT_EQ(seen_by_server.mismatch->local, servers);
  EXPECT_EQ(seen_by_server.mismatch->remote, clients);
  EXPECT_EQ(seen_by_client.counts, clients) << "nothing was changed";
  EXPECT_EQ(accept_remote(key(true)).skipped, 2u);
  join();
  talk(4);
  leave();
  EXPECT_FALSE(show_session(key(true)).mismatch || show_session(key(false)).mismatch)
      << "a login that fitted forgets them";
  EXPECT_EQ(show_session(key(true)).counts, (session_counts{9, 9, 9}));
}

TEST_F(tcpshm_mending, the_server_accepts_the_clients_numbers_too) {
  talk(2);
  leave();
  restore(false);
  meet_and_fail();
  EXPECT_EQ(accept_remote(key(false)).counts, (session_counts{5, 5, 5}));
  join();
  talk(4);
}

TEST_F(tcpshm_mending, messages_that_are_kept_acknowledge_nothing_that_the_other_side_never_sent) {
  talk(2);
  on.server->pops = false;
  ASSERT_FALSE(on.client->say("not popped"));
  ASSERT_FALSE(on.client->say("nor this"));
  leave();
  restore(false);
  // They want from the server number 5, which has sent no more than 3 now.
  meet_and_fail();
  const auto told = accept_remote(key(true));
  EXPECT_EQ(told.repeated, 2u);
  EXPECT_EQ(told.discarded, 2u) << "the server wants message 3, and everything before message 5 was acknowledged";
  EXPECT_EQ(told.counts, (session_counts{3, 3, 3}));
  join();
  talk(2);
  leave();
  // The same where the server wants what is still there: it has lost what it sent, and not what it received.
  on.make_server();
  on.make_client();
  ASSERT_TRUE(on.log_in(false));
  on.server->pops = false;
  ASSERT_FALSE(on.client->say("kept"));
  leave();
  EXPECT_EQ(accept_remote(key(true), {5, 4, 4}).repeated, 1u);
  EXPECT_EQ(accept_remote(key(false), {4, 5, 6}).counts.sent, 4u);
  join();
  on.server->pops = true;
  ASSERT_TRUE(on.until([&] { return !on.server->messages.empty(); }, "what was kept"));
  EXPECT_EQ(on.server->messages.front(), "1 kept");
  EXPECT_FALSE(on.client->get_connection().is_closed()) << "its acknowledgement is one that the server knows";
  talk(2);
}

TEST_F(tcpshm_mending, a_message_that_nobody_can_stand_is_skipped) {
  on.server->pops = false;
  ASSERT_FALSE(on.client->say("poison"));
  ASSERT_FALSE(on.client->say("good"));
  ASSERT_TRUE(on.until([&] { return !on.server->messages.empty(); }, "the first one"));
  leave();
  EXPECT_EQ(skip_messages(key(false), 1).counts.consumed, 4u);
  join();
  ASSERT_TRUE(on.until([&] { return !on.server->messages.empty(); }, "the second one"));
  EXPECT_EQ(on.server->messages, told{"1 good"});
}

TEST_F(tcpshm_mending, both_sides_begin_anew_after_a_reset_of_the_client) {
  ASSERT_FALSE(on.client->say("never comes"));
  leave();
  EXPECT_EQ(reset_session(key(true)).discarded, 1u);
  join();
  EXPECT_EQ(show_session(key(false)).counts, session_counts{});
  talk(2);
}

TEST_F(tcpshm_mending, a_server_that_was_reset_alone_does_not_fit_until_the_client_accepts_it) {
  leave();
  (void)reset_session(key(false));
  meet_and_fail();
  EXPECT_EQ(accept_remote(key(true)).counts, session_counts{});
  join();
  talk(2);
}

TEST_F(tcpshm_mending, nobody_mends_what_is_in_use) {
  for (const bool client : {true, false}) {
    EXPECT_TRUE(show_session(key(client)).in_use);
    EXPECT_THROW(skip_messages(key(client), 1), failure);
  }
  talk(1);
}

}  // namespace
}  // namespace ferry::test
