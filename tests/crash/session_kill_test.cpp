// kill -9 of the sides of persistent sessions, at moments that nobody chose: no message is ever lost or doubled, and
// the counters that each side keeps in a mapped file of its own agree with what it had committed.
#include <algorithm>

#include "session_crash.hpp"
#include "session_spray.hpp"

namespace ferry::test {
namespace {

using std::chrono::microseconds;

struct setting {
  const char* name;
  std::vector<const char*> schemes;  // the server listens at each; lives of the client take turns
  const char* how;                   // as session_peer says
  const char* more;                  // options
  std::uint64_t kills;
  // NOLINTNEXTLINE(readability-identifier-naming): as GoogleTest calls it
  friend void PrintTo(const setting& one, std::ostream* to) { *to << one.name; }
};

/// Two sides, started again whenever they are not there.
class killed : public session_crash, public ::testing::WithParamInterface<setting> {
 protected:
  void start_both(const std::string& asking, const std::string& asked_book, const std::string& answering,
                  const std::string& answered_book) {
    const auto& schemes = GetParam().schemes;
    if (!server) {
      std::vector<std::string> arguments = {answering, GetParam().how, answered_book};
      for (const auto* scheme : schemes) arguments.push_back(url(scheme, "server", k_patient + GetParam().more));
      server = start_side(std::move(arguments));
    }
    if (client) return;
    // Every other client has a fast disk, and is back while the server still waits for its own.
    std::string how = GetParam().how;
    if (lives / schemes.size() % 2 != 0) how.resize(std::min(how.size(), how.find(k_on_a_slow_disk)));
    client = start_side(
        {asking, how, asked_book, url(schemes[lives++ % schemes.size()], "client", k_patient + GetParam().more)});
  }
  /// Until `counter` has moved on, or somebody has ended by himself.
  [[nodiscard]] bool moves(const std::atomic<std::uint64_t>& counter) {
    const std::uint64_t enough = counter + 3;
    return turn([&] { return counter >= enough || has_ended(*server) || has_ended(*client); }, "steps") &&
           counter >= enough;
  }
  /// What the system says of a process: that it sleeps, and in what, or how much processor time it has had.
  [[nodiscard]] static std::string doing(const child& who) {
    const std::string at = "/proc/" + std::to_string(who.pid());
    std::string all;
    for (const char* file : {"/stat", "/wchan", "/net/unix"}) {
      std::ifstream from(at + file);
      for (std::string line; std::getline(from, line);)
        if (file != std::string_view("/net/unix") || line.find("meeting") != line.npos) all += line + "\n";
      if (!all.ends_with('\n')) all += '\n';
    }
    return all;
  }
  void kill(std::unique_ptr<child>& whom) {
    ASSERT_EQ(kill_and_reap(*whom), 137) << last_words(*whom);
    whom.reset();
    kills += 1;
  }
  /// After some more steps, or every third time somewhere between a start and the first messages: one, or both.
  void kill_somebody(const std::atomic<std::uint64_t>& counter) {
    if (std::uniform_int_distribution<int>(0, 2)(random) != 0) {
      const auto moved = moves(counter);
      ASSERT_TRUE(moved) << "after " << kills << " kills, at step " << counter.load() << "\nserver: " << doing(*server)
                         << "\nclient: " << doing(*client) << last_words(*server) << last_words(*client);
    }
    turn_until_some_moment(microseconds(8000));
    const auto whom = std::uniform_int_distribution<int>(0, 2)(random);
    if (whom != 0) client->kill(SIGKILL);  // both at once
    if (whom != 1) kill(server);
    if (whom != 0) kill(client);
  }

  static constexpr std::string_view k_on_a_slow_disk = "_on_a_slow_disk";
  static inline const std::string k_patient = "&connect_timeout=30s";
  std::unique_ptr<child> client;
  std::unique_ptr<child> server;
  std::uint64_t lives = 0;
  std::uint64_t kills = 0;
};

using session = killed;

TEST_P(session, whose_sides_are_killed_again_and_again_loses_nothing_and_doubles_nothing) {
  const mapped_file<session_book> asked(dir.file("client.book"));
  const mapped_file<session_book> answered(dir.file("server.book"));
  const auto start = [&] { start_both("client", asked.path(), "server", answered.path()); };
  for (const std::uint64_t wanted = rounds(GetParam().kills); kills < wanted && !HasFatalFailure();) {
    start();
    kill_somebody(answered->committed);
  }
  if (HasFatalFailure()) return;
  asked->stop = 1;
  start();
  EXPECT_EQ(client->finish(), 0) << client->error_output();
  EXPECT_EQ(kill_and_reap(*server), 137) << last_words(*server);
  const side_counts requests = committed("client", "");
  const side_counts replies = committed("server", "client");
  EXPECT_EQ(asked->read(requests.step), requests);
  EXPECT_EQ(answered->read(replies.step), replies);
  EXPECT_EQ(requests.sent, replies.received);
  EXPECT_EQ(replies.sent, requests.received);
  EXPECT_EQ(replies.sent, answers_before(requests.sent));
  EXPECT_GT(requests.sent, kills);
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("requests", std::to_string(requests.sent));
}

constexpr std::uint64_t k_kills = 300;  // for each of two ways of working over each transport
constexpr std::uint64_t k_kills_there = 60;

INSTANTIATE_TEST_SUITE_P(
    a, session,
    ::testing::Values(setting{"shm_by_handlers", {"shm"}, "handlers", "", k_kills},
                      setting{"shm_by_transactions", {"shm"}, "transactions", "", k_kills},
                      setting{"ipc_by_handlers", {"ipc"}, "handlers", "", k_kills},
                      setting{"ipc_by_transactions", {"ipc"}, "transactions", "", k_kills},
                      setting{"tcp_by_handlers", {"tcp"}, "handlers", "", k_kills},
                      setting{"tcp_by_transactions", {"tcp"}, "transactions", "", k_kills},
                      setting{"tls_by_handlers", {"tls"}, "handlers", "", k_kills},
                      setting{"tls_by_transactions", {"tls"}, "transactions", "", k_kills},
                      setting{"shm_and_tcp_in_turn", {"shm", "tcp"}, "transactions", "", 150},
                      setting{"shm_and_ipc_and_tcp_in_turn", {"shm", "ipc", "tcp"}, "handlers", "", 150},
                      setting{"shm_and_tls_and_tcp_in_turn", {"shm", "tls", "tcp"}, "transactions", "", 150},
                      setting{"shm_on_disk", {"shm"}, "transactions", "&durable=disk", 60},
                      setting{"tcp_on_disk", {"tcp"}, "handlers", "&durable=disk", 60}),
    [](const auto& one) { return std::string(one.param.name); });

// On a slow disk a side goes on for a while with what is not there for good yet; so long its logins wait.
constexpr auto k_by_handlers = "handlers_on_a_slow_disk";
constexpr auto k_by_transactions = "transactions_on_a_slow_disk";
constexpr auto k_durable = "&durable=disk";
INSTANTIATE_TEST_SUITE_P(
    on_a_slow_disk, session,
    ::testing::Values(setting{"shm_by_handlers", {"shm"}, k_by_handlers, k_durable, k_kills_there},
                      setting{"shm_by_transactions", {"shm"}, k_by_transactions, k_durable, k_kills_there},
                      setting{"ipc_by_handlers", {"ipc"}, k_by_handlers, k_durable, k_kills_there},
                      setting{"ipc_by_transactions", {"ipc"}, k_by_transactions, k_durable, k_kills_there},
                      setting{"tcp_by_handlers", {"tcp"}, k_by_handlers, k_durable, k_kills_there},
                      setting{"tcp_by_transactions", {"tcp"}, k_by_transactions, k_durable, k_kills_there},
                      setting{"tls_by_handlers", {"tls"}, k_by_handlers, k_durable, k_kills_there},
                      setting{"tls_by_transactions", {"tls"}, k_by_transactions, k_durable, k_kills_there},
                      setting{"all_in_turn", {"shm", "ipc", "tcp", "tls"}, k_by_handlers, k_durable, k_kills_there}),
    [](const auto& one) { return std::string(one.param.name); });

using session_of_threads = killed;

TEST_P(session_of_threads, whose_sides_are_killed_has_of_each_thread_all_that_was_taken_and_in_order) {
  const mapped_file<spray_book> taken(dir.file("client.book"));
  const mapped_file<spray_book> came(dir.file("server.book"));
  const auto start = [&] { start_both("spray", taken.path(), "collect", came.path()); };
  for (const std::uint64_t wanted = rounds(GetParam().kills); kills < wanted && !HasFatalFailure();) {
    start();
    kill_somebody(came->received);
  }
  if (HasFatalFailure()) return;
  taken->stop = 1;
  start();
  EXPECT_EQ(client->finish(), 0) << client->error_output();
  EXPECT_EQ(kill_and_reap(*server), 137) << last_words(*server);
  const bool on_disk = std::string_view(GetParam().more).find("disk") != std::string_view::npos;
  ASSERT_LT(taken->lives, spray_book::k_lives);
  for (std::uint64_t life = 1; life <= taken->lives; ++life) {
    std::uint64_t all = 0;
    for (std::size_t thread = 0; thread < spray_book::k_threads; ++thread) {
      const std::uint64_t received = came->of[life].messages[thread];
      // What did not reach the disk is not there; but nothing that came after it is, either.
      if (!on_disk) {
        EXPECT_GE(received, taken->of[life].messages[thread]) << "of thread " << thread << " in life " << life;
      }
      EXPECT_LE(received, taken->of[life].messages[thread] + 1) << "of thread " << thread << " in life " << life;
      all += received;
    }
    // Who died before it had the session open sent nothing, and did not write down where it began.
    const auto next = life == taken->lives ? taken->sent.load() : taken->of[life + 1].begins_at;
    EXPECT_EQ(taken->of[life].begins_at + all, next) << "in life " << life;
  }
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("messages", std::to_string(taken->sent));
}

INSTANTIATE_TEST_SUITE_P(
    a, session_of_threads,
    ::testing::Values(
        setting{"shm", {"shm"}, "handlers", "&senders=many", 100},
        setting{"tcp", {"tcp"}, "handlers", "&senders=many", 100},
        setting{"ipc_on_disk", {"ipc"}, "handlers", "&senders=many&durable=disk", 40},
        setting{"shm_on_a_slow_disk", {"shm"}, "handlers_on_a_slow_disk", "&senders=many&durable=disk", 40},
        setting{"tcp_on_a_slow_disk", {"tcp"}, "handlers_on_a_slow_disk", "&senders=many&durable=disk", 40}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
