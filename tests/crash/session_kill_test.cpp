// kill -9 of the sides of persistent sessions, at moments that nobody chose: no message is ever lost or doubled, and
// the counters that each side keeps in a mapped file of its own agree with what it had committed.
#include <sys/socket.h>

#include "crash_test.hpp"
#include "session_book.hpp"
#include "testing/raw_tcp.hpp"

namespace ferry::test {
namespace {

using std::chrono::microseconds;

struct setting {
  const char* name;
  std::vector<const char*> schemes;  // the server listens at each; lives of the client take turns
  const char* how;                   // as session_peer says
  const char* more;                  // options
  std::uint64_t kills;
};

/// A book that a peer writes and that outlives it.
class kept_book {
 public:
  explicit kept_book(std::string path) : path_(std::move(path)) {
    const os::unique_fd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (::ftruncate(fd.get(), sizeof(session_book)) != 0) throw std::runtime_error("no room for a book");
    at_ = os::mapping::of(fd.get(), sizeof(session_book), true).value();
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] session_book& operator*() const { return *reinterpret_cast<session_book*>(at_.data()); }
  [[nodiscard]] session_book* operator->() const { return &**this; }
  /// The newest committed counters that anybody saw.
  [[nodiscard]] side_counts counts() const { return (**this).read((*this)->committed); }

 private:
  std::string path_;
  os::mapping at_;
};

class a_session : public crash, public ::testing::WithParamInterface<setting> {
 protected:
  [[nodiscard]] std::string url(std::string_view scheme, const std::string& whose) const {
    const std::string at = scheme == "shm"   ? "shm://meeting"
                           : scheme == "ipc" ? "ipc://" + dir.file("meeting.sock")
                                             : "tcp://127.0.0.1:" + std::to_string(port.number());
    std::string all = at + "?session=persistent&ring_bytes=64KiB&connect_timeout=30s&as=" + whose;
    all += "&dir=" + dir.file(whose) + GetParam().more;
    if (whose == "client") all += "&reconnect=on&reconnect_base=2ms&reconnect_max=2ms";
    return all;
  }
  [[nodiscard]] std::unique_ptr<child> start_side(const std::string& role, const kept_book& book) {
    std::vector<std::string> arguments = {FERRY_SESSION_PEER, role, GetParam().how, book.path()};
    const auto& schemes = GetParam().schemes;
    if (role == "server")
      for (const auto* scheme : schemes) arguments.push_back(url(scheme, role));
    else
      arguments.push_back(url(schemes[lives_++ % schemes.size()], role));
    return std::make_unique<child>(std::move(arguments),
                                   child_options{{"RUNTIME_DIRECTORY=" + dir.path().string()}, {}});
  }
  /// Until the book has some more steps, or somebody has ended by himself.
  [[nodiscard]] bool moves(const kept_book& book, child& one, child& other) {
    const std::uint64_t enough = book->committed + 3;
    const auto ended = [](child& who) { return who.wait(child::duration{0}).has_value(); };
    return turn([&] { return book->committed >= enough || ended(one) || ended(other); }, "steps") &&
           book->committed >= enough;
  }

  [[nodiscard]] static std::string last_words(child& of) {
    of.kill(SIGKILL);
    of.read_all();
    return of.error_output();
  }

  reserved_port port;
  std::uint64_t lives_ = 0;
};

TEST_P(a_session, whose_sides_are_killed_again_and_again_loses_nothing_and_doubles_nothing) {
  for (const auto* side : {"client", "server"}) std::filesystem::create_directory(dir.path() / side);
  const kept_book asked(dir.file("client.book"));
  const kept_book answered(dir.file("server.book"));
  std::unique_ptr<child> client;
  std::unique_ptr<child> server;
  const std::uint64_t wanted = rounds(GetParam().kills);
  std::uint64_t kills = 0;
  const auto kill = [&](std::unique_ptr<child>& whom) {
    ASSERT_EQ(kill_and_reap(*whom), 137) << last_words(*whom);
    whom.reset();
    kills += 1;
  };
  for (std::uint64_t round = 0; kills < wanted; ++round) {
    if (!server) server = start_side("server", answered);
    if (!client) client = start_side("client", asked);
    // Every third time somewhere between the start and the first messages, else later.
    if (round % 3 != 0) {
      ASSERT_TRUE(moves(answered, *server, *client))
          << "in round " << round << ": " << last_words(*server) << "; " << last_words(*client);
    }
    turn_until_some_moment(microseconds(8000));
    const auto whom = std::uniform_int_distribution<int>(0, 2)(random);
    if (whom != 0) client->kill(SIGKILL);  // both at once
    if (whom != 1) kill(server);
    if (whom != 0) kill(client);
    if (HasFatalFailure()) return;
  }
  asked->stop = 1;
  if (!server) server = start_side("server", answered);
  if (!client) client = start_side("client", asked);
  EXPECT_EQ(client->finish(), 0) << client->error_output();
  EXPECT_EQ(kill_and_reap(*server), 137) << last_words(*server);
  const side_counts requests = asked.counts();
  const side_counts replies = answered.counts();
  EXPECT_EQ(requests.sent, replies.received);
  EXPECT_EQ(replies.sent, requests.received);
  EXPECT_EQ(replies.sent, answers_before(requests.sent));
  EXPECT_GT(requests.sent, kills);
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("requests", std::to_string(requests.sent));
}

constexpr std::uint64_t k_kills = 300;  // each of two ways of working, for each transport

INSTANTIATE_TEST_SUITE_P(
    killed, a_session,
    ::testing::Values(setting{"shm_by_handlers", {"shm"}, "handlers", "", k_kills},
                      setting{"shm_by_transactions", {"shm"}, "transactions", "", k_kills},
                      setting{"ipc_by_handlers", {"ipc"}, "handlers", "", k_kills},
                      setting{"ipc_by_transactions", {"ipc"}, "transactions", "", k_kills},
                      setting{"tcp_by_handlers", {"tcp"}, "handlers", "", k_kills},
                      setting{"tcp_by_transactions", {"tcp"}, "transactions", "", k_kills},
                      setting{"shm_and_tcp_in_turn", {"shm", "tcp"}, "transactions", "", 150},
                      setting{"shm_and_ipc_and_tcp_in_turn", {"shm", "ipc", "tcp"}, "handlers", "", 150},
                      setting{"shm_on_disk", {"shm"}, "transactions", "&durable=disk", 60},
                      setting{"tcp_on_disk", {"tcp"}, "handlers", "&durable=disk", 60}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ferry::test
