// The time of day jumps by years, to and fro, with every look at it, in both processes: no heartbeat is late, nobody
// waits too long or not long enough, and nothing is said for what was measured by it.
#include <ferry/session_files.hpp>

#include "session_crash.hpp"

namespace ferry::test {
namespace {

class session_whose_clock_jumps : public session_crash, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::unique_ptr<child> start(const std::string& role, const std::string& book) const {
    const std::string scheme = GetParam();
    std::string deadlines = role == "server" ? "&session_wait=1h" : "&connect_timeout=30s";
    if (scheme != "shm") deadlines += "&heartbeat=500ms";  // three of which a busy machine may not take
    return std::make_unique<child>(
        std::vector<std::string>{FERRY_JUMPING_SESSION_PEER, role, "transactions", book, url(scheme, role, deadlines)},
        child_options{{"RUNTIME_DIRECTORY=" + dir.path().string()}, {}});
  }
  [[nodiscard]] bool moves(const std::atomic<std::uint64_t>& counter, std::uint64_t by) {
    const std::uint64_t enough = counter + by;
    return turn([&] { return counter >= enough || has_ended(*server) || has_ended(*client); }, "steps") &&
           counter >= enough;
  }
  [[nodiscard]] std::uint64_t logins() const { return show_session({dir.file("client"), "client", ""}).epoch; }

  const mapped_file<session_book> asked{dir.file("client.book")};
  const mapped_file<session_book> answered{dir.file("server.book")};
  std::unique_ptr<child> server, client;
};

TEST_P(session_whose_clock_jumps, keeps_its_connection_and_waits_for_who_comes_back) {
  server = start("server", answered.path());
  client = start("client", asked.path());
  ASSERT_TRUE(moves(answered->committed, 2000)) << last_words(*server) << last_words(*client);
  const auto first = logins();
  ASSERT_TRUE(moves(answered->committed, 2000)) << last_words(*server) << last_words(*client);
  EXPECT_EQ(logins(), first) << "the connection did not end meanwhile";

  // Silence is noticed all the same, where there are heartbeats.
  auto expected = first;
  if (GetParam() != std::string_view("shm")) {
    asked->silence = answered->silence = 1;
    server->kill(SIGSTOP);
    const bool noticed = turn([&] { return asked->silences > 0 || has_ended(*client); }, "the end of a connection");
    server->kill(SIGCONT);
    ASSERT_TRUE(noticed && moves(answered->committed, 500)) << last_words(*server) << last_words(*client);
    expected = logins();
    EXPECT_GT(expected, first);
  }

  // Away for a while, which is less than an hour.
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(kill_and_reap(*client), 137) << last_words(*client);
    client = start("client", asked.path());
    ASSERT_TRUE(moves(answered->committed, 500)) << last_words(*server) << last_words(*client);
  }
  EXPECT_EQ(answered->lives, 1u) << "the same channel goes on";
  EXPECT_GE(logins(), expected + 5);
  asked->stop = 1;
  EXPECT_EQ(client->finish(), 0) << client->error_output();
  EXPECT_EQ(kill_and_reap(*server), 137) << last_words(*server);
  const side_counts requests = committed("client", "");
  const side_counts replies = committed("server", "client");
  EXPECT_EQ(requests.sent, replies.received);
  EXPECT_EQ(replies.sent, requests.received);
}

INSTANTIATE_TEST_SUITE_P(over, session_whose_clock_jumps, ::testing::Values("shm", "ipc", "tcp", "tls"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ferry::test
