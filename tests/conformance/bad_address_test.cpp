// Endpoints that cannot be used: what is told, and what is left alone.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "os/unique_fd.hpp"
#include "tests/conformance/transport.hpp"

namespace ferry::test {
namespace {

namespace fs = std::filesystem;

struct bad_address : ::testing::Test, any_transport {
  bad_address() : any_transport({"ipc", framing_kind::varint, senders_kind::one}) {}

  void expect_no_listener(const std::string& url, errc reason, std::initializer_list<std::string> in_text) {
    const auto made = listener::open(where, url);
    ASSERT_FALSE(made) << url;
    EXPECT_EQ(made.error(), reason) << made.error().text();
    for (const auto& part : in_text)
      EXPECT_NE(made.error().text().find(part), std::string::npos)
          << "'" << part << "' is not in: " << made.error().text();
  }
  /// A socket file that nobody listens on.
  [[nodiscard]] std::string stale_socket() const {
    const std::string path = dir.file("stale");
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path.copy(at.sun_path, sizeof at.sun_path - 1);
    const os::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    return path;
  }
};

TEST_F(bad_address, path_that_is_too_long_is_told_with_its_length_and_the_limit) {
  const std::string path = "/" + std::string(119, 'a');
  expect_no_listener("ipc://" + path, errc::bad_address, {"120", "107", path});
  channel client = open("ipc://" + path, {});
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the failure"));
  EXPECT_EQ(client.last_error(), errc::bad_address);
}

TEST_F(bad_address, directory_is_left_alone) {
  fs::create_directory(dir.file("here"));
  expect_no_listener("ipc://" + dir.file("here"), errc::bad_address, {dir.file("here"), "directory"});
  EXPECT_TRUE(fs::is_directory(dir.file("here")));
}

TEST_F(bad_address, regular_file_is_left_alone) {
  std::ofstream(dir.file("precious")) << "do not delete";
  expect_no_listener("ipc://" + dir.file("precious"), errc::bad_address, {dir.file("precious"), "not a socket"});
  std::string kept;
  std::getline(std::ifstream(dir.file("precious")), kept);
  EXPECT_EQ(kept, "do not delete");
}

TEST_F(bad_address, symbolic_link_is_left_alone) {
  std::ofstream(dir.file("target")) << "x";
  fs::create_symlink(dir.file("target"), dir.file("link"));
  expect_no_listener("ipc://" + dir.file("link"), errc::bad_address, {dir.file("link")});
  EXPECT_TRUE(fs::is_symlink(dir.file("link")));
  EXPECT_TRUE(fs::exists(dir.file("target")));
}

TEST_F(bad_address, missing_directory_is_told) {
  expect_no_listener("ipc://" + dir.file("nowhere/socket"), errc::not_found, {"nowhere/socket"});
}

TEST_F(bad_address, socket_that_lives_is_not_stolen) {
  auto both = connect();
  channel& client = both.client;
  channel& server = both.server;
  const auto before = fs::status(dir.file("socket"));
  expect_no_listener("ipc://" + dir.file("socket"), errc::address_in_use, {dir.file("socket")});
  EXPECT_TRUE(fs::is_socket(before) && fs::is_socket(fs::status(dir.file("socket"))));
  life at_server;
  at_server.receive(server);
  ASSERT_TRUE(client.try_send("alive"));
  EXPECT_TRUE(turn([&] { return at_server.messages.size() == 1; }, "a message"));
}

TEST_F(bad_address, live_socket_with_a_full_backlog_is_not_stolen) {
  options with;
  with.backlog = 1;
  const auto busy = listener::open(where, "ipc://" + dir.file("busy"), with);
  ASSERT_TRUE(busy);
  std::vector<channel> waiting;
  for (int i = 0; i < 5; ++i) waiting.push_back(open("ipc://" + dir.file("busy"), {}));
  run_ready(io);
  expect_no_listener("ipc://" + dir.file("busy"), errc::address_in_use, {dir.file("busy")});
}

TEST_F(bad_address, stale_socket_is_replaced_and_removed_in_the_end) {
  const std::string path = stale_socket();
  {
    const auto made = listener::open(where, "ipc://" + path);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_TRUE(fs::is_socket(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(path + ".lock"));
}

TEST_F(bad_address, file_that_replaced_ours_is_not_removed) {
  auto made = listener::open(where, "ipc://" + dir.file("socket"));
  ASSERT_TRUE(made);
  fs::remove(dir.file("socket"));
  std::ofstream(dir.file("socket")) << "somebody else's";
  made->close();
  EXPECT_TRUE(fs::is_regular_file(dir.file("socket")));
}

TEST_F(bad_address, stale_socket_has_exactly_one_winner_among_many_starters) {
  for (int round = 0; round < 10; ++round) {
    const std::string path = stale_socket();
    std::array<int, 2> go{}, outcome{};
    ASSERT_EQ(::pipe(go.data()), 0);
    ASSERT_EQ(::pipe(outcome.data()), 0);
    std::vector<pid_t> starters;
    for (int i = 0; i < 4; ++i) {
      const pid_t pid = ::fork();
      ASSERT_GE(pid, 0);
      if (pid == 0) {
        char byte = 0;
        ::close(go[1]);
        (void)!::read(go[0], &byte, 1);  // returns for all at once, when the other end is closed
        options none;
        boost::asio::io_context own;
        context in(own);
        auto made = listener::open(in, "ipc://" + path, none);
        byte = made ? 'w' : made.error() == errc::address_in_use ? 'l' : 'e';
        (void)!::write(outcome[1], &byte, 1);
        ::close(outcome[1]);
        ::pause();  // keeps listening until it is killed
        ::_exit(0);
      }
      starters.push_back(pid);
    }
    ::close(go[0]);
    ::close(go[1]);
    ::close(outcome[1]);
    std::string all;
    char byte = 0;
    while (all.size() < starters.size() && ::read(outcome[0], &byte, 1) == 1) all += byte;
    ::close(outcome[0]);
    for (const pid_t pid : starters) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all, "lllw") << "round " << round;
    fs::remove(path);
  }
}

TEST_F(bad_address, port_in_use_is_told_with_the_address) {
  const auto first = listener::open(where, "tcp://127.0.0.1:0");
  ASSERT_TRUE(first);
  expect_no_listener(first->url(), errc::address_in_use, {first->url().substr(6)});
}

TEST_F(bad_address, port_is_shared_by_who_asks_for_it) {
  options shared;
  shared.reuse_port = true;
  const auto first = listener::open(where, "tcp://127.0.0.1:0", shared);
  ASSERT_TRUE(first);
  EXPECT_TRUE(listener::open(where, first->url(), shared));
}

TEST_F(bad_address, nobody_at_the_port_or_path_is_told_with_the_address_and_the_errno) {
  std::string free_port;
  {
    const auto gone = listener::open(where, "tcp://127.0.0.1:0");
    ASSERT_TRUE(gone);
    free_port = gone->url();
  }
  const std::string stale = stale_socket();
  const std::vector<std::tuple<std::string, errc, int>> cases{
      {free_port, errc::refused, ECONNREFUSED},
      {"ipc://" + stale, errc::refused, ECONNREFUSED},
      {"ipc://" + dir.file("none"), errc::not_found, ENOENT},
      {"ipc://@" + dir.file("none"), errc::refused, ECONNREFUSED}};
  for (const auto& [url, reason, system_errno] : cases) {
    channel client = open(url, {});
    ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, url));
    EXPECT_EQ(client.last_error(), reason) << client.last_error().text();
    EXPECT_EQ(client.last_error().system_errno(), system_errno);
    EXPECT_NE(client.last_error().text().find(url.substr(6)), std::string::npos) << client.last_error().text();
  }
}

TEST_F(bad_address, name_that_does_not_exist_is_told) {
  channel client = open("tcp://no-such-host.invalid:1", {});
  ASSERT_TRUE(turn([&] { return client.state() == channel_state::closed; }, "the failure"));
  EXPECT_EQ(client.last_error(), errc::not_found) << client.last_error().text();
  EXPECT_NE(client.last_error().text().find("no-such-host.invalid"), std::string::npos) << client.last_error().text();
}

TEST_F(bad_address, attempt_to_connect_ends_at_its_deadline) {
  // A listener whose backlog is full: TCP then answers nothing to one who wants to connect.
  options with;
  with.backlog = 1;
  const auto silent = listener::open(where, "tcp://127.0.0.1:0", with);
  ASSERT_TRUE(silent);
  options hasty;
  hasty.connect_timeout = std::chrono::milliseconds(30);
  std::vector<channel> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(open(silent->url(), hasty));
  const auto timed_out = [&] {
    return std::find_if(clients.begin(), clients.end(),
                        [](const channel& c) { return c.state() == channel_state::closed; });
  };
  ASSERT_TRUE(turn([&] { return timed_out() != clients.end(); }, "a deadline"));
  EXPECT_EQ(timed_out()->last_error(), errc::timeout);
  for (const std::string& part : {std::string("30ms (connect_timeout)"), silent->url()})
    EXPECT_NE(timed_out()->last_error().text().find(part), std::string::npos) << timed_out()->last_error().text();
}

TEST_F(bad_address, option_that_is_unknown_or_out_of_range_is_told_with_what_to_write) {
  const auto typo = listener::open(where, "ipc://" + dir.file("s") + "?max_mesage=1MiB");
  ASSERT_FALSE(typo);
  EXPECT_EQ(typo.error(), errc::unknown_option);
  EXPECT_NE(typo.error().text().find("'max_message'"), std::string::npos) << typo.error().text();
  const auto large = channel::open(where, "tcp://127.0.0.1:1?max_message=2GiB");
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error(), errc::bad_option);
  EXPECT_NE(large.error().text().find("1GiB"), std::string::npos) << large.error().text();
  options wrong;
  wrong.send_queue_low_bytes = wrong.send_queue_bytes + 1;
  EXPECT_EQ(channel::open(where, "inproc://x", wrong).error(), errc::bad_option);
  EXPECT_EQ(channel::open(where, "icp:///x").error(), errc::unknown_scheme);
  EXPECT_EQ(channel::open(where, "nonsense").error(), errc::bad_url);
}

TEST_F(bad_address, socket_file_gets_the_mode_that_was_asked_for) {
  for (const unsigned mode : {0600u, 0660u, 0777u}) {
    options with;
    with.socket_mode = mode;
    const auto made = listener::open(where, "ipc://" + dir.file("socket"), with);
    ASSERT_TRUE(made);
    struct stat there {};
    ASSERT_EQ(::stat(dir.file("socket").c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777u, mode);
  }
}

TEST_F(bad_address, owner_that_does_not_exist_is_told_and_leaves_no_socket_behind) {
  options with;
  with.socket_owner = "nobody-has-this-name";
  const auto made = listener::open(where, "ipc://" + dir.file("socket"), with);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text().find("nobody-has-this-name"), std::string::npos) << made.error().text();
  EXPECT_FALSE(fs::exists(dir.file("socket")));
}

}  // namespace
}  // namespace ferry::test
