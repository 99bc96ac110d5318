// Each case runs in a process of its own, forked by EXPECT_EXIT: what it changes is that process's environment.
#include <ferry/context.hpp>
#include <ferry/systemd.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::systemd {
namespace {

using test::raw_unix;

struct started_as {
  const char* fds = nullptr;
  std::string pid;  // empty: not set
  int descriptor = -1;
};

// In the child: sets the stage as systemd does, asks, and says the outcome on standard error, from where the test reads
// it.
[[noreturn]] void run(const started_as& given) {
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  if (given.fds != nullptr) ::setenv("LISTEN_FDS", given.fds, 1);
  if (given.pid == "own") ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  if (!given.pid.empty() && given.pid != "own") ::setenv("LISTEN_PID", given.pid.c_str(), 1);
  if (given.descriptor >= 0) ::dup2(given.descriptor, 3);
  const auto made = service::from_environment();
  const bool kept = ::getenv("LISTEN_FDS") != nullptr || (::getenv("LISTEN_PID") != nullptr && given.fds != nullptr);
  if (!made) {
    std::fprintf(stderr, "%s%s", made.error() == errc::misuse ? "misuse: " : "?", made.error().text().c_str());
  } else {
    std::fprintf(stderr, "listener=%d path=%s", (*made)->has_listener() ? 1 : 0,
                 (*made)->socket_path("/tmp/x.sock").c_str());
  }
  std::fprintf(stderr, kept ? " variables=kept\n" : " variables=unset\n");
  std::_Exit(0);
}

#define EXPECT_OUTCOME(given, text) EXPECT_EXIT(run(given), ::testing::ExitedWithCode(0), text)

class socket_activation : public ::testing::Test {
 protected:
  test::temp_dir files;
  const std::string path = files.file("a.sock");
  raw_unix listening = raw_unix::listen(path);
};

TEST_F(socket_activation, is_none_without_the_variables) {
  EXPECT_OUTCOME((started_as{}), "listener=0 path=/tmp/x.sock variables=unset");
}

TEST_F(socket_activation, takes_descriptor_3_and_unsets_the_variables) {
  EXPECT_OUTCOME((started_as{"1", "own", listening.fd()}), "listener=1 path=" + path + " variables=unset");
  EXPECT_OUTCOME((started_as{"1", "", listening.fd()}), "listener=1 path=" + path + " variables=unset");
}

TEST_F(socket_activation, refuses_more_than_one_socket_another_process_and_what_is_no_listening_unix_socket) {
  EXPECT_OUTCOME((started_as{"2", "own", listening.fd()}),
                 "misuse: LISTEN_FDS is 2: exactly 1 socket is wanted variables=unset");
  EXPECT_OUTCOME((started_as{"0", "own", listening.fd()}), "misuse: LISTEN_FDS is 0: .* variables=unset");
  EXPECT_OUTCOME((started_as{"many", "own", listening.fd()}), "misuse: LISTEN_FDS is many: .* variables=unset");
  EXPECT_OUTCOME((started_as{"1", "1", listening.fd()}),
                 "misuse: LISTEN_PID is 1, but this process is .* variables=unset");
  const auto connected = raw_unix::connect(path);
  EXPECT_OUTCOME((started_as{"1", "own", connected.fd()}),
                 "misuse: descriptor 3, .* is not a listening .* variables=unset");
  EXPECT_OUTCOME((started_as{"1", "own", STDIN_FILENO}),
                 "misuse: descriptor 3, .* is not a listening .* variables=unset");
}

// In the child: what the directories do to a path.
[[noreturn]] void resolve(const char* runtime, const std::string& path) {
  ::setenv("RUNTIME_DIRECTORY", runtime, 1);
  ::setenv("STATE_DIRECTORY", "/var/lib/app:/var/lib/other", 1);
  const auto made = service::from_environment().value();
  std::fprintf(stderr, "[%s] %s\n", made->socket_path(path).c_str(), made->state_directory().c_str());
  std::_Exit(0);
}

TEST(systemd_directories, take_the_socket_into_the_runtime_directory) {
  const auto expect = [](const char* runtime, const std::string& path, const std::string& resolved) {
    EXPECT_EXIT(resolve(runtime, path), ::testing::ExitedWithCode(0), "\\[" + resolved + "\\] /var/lib/app\n") << path;
  };
  expect("/run/app", "/tmp/a.sock", "/run/app/a.sock");
  expect("/run/app:/run/other", "a.sock", "/run/app/a.sock");
  expect("/run/app", "/run/app/deep/a.sock", "/run/app/deep/a.sock");
  expect("/run/app", "@abstract", "@abstract");
  expect("", "/tmp/a.sock", "/tmp/a.sock");
}

TEST(systemd_service, gives_its_socket_away_once) {
  test::temp_dir files;
  EXPECT_EXIT(
      {
        const auto listening = raw_unix::listen(files.file("a.sock"));
        ::dup2(listening.fd(), 3);
        ::setenv("LISTEN_FDS", "1", 1);
        const auto made = service::from_environment().value();
        boost::asio::io_context io;
        context where(io);
        const auto first = made->take_listener(where, {}).value();
        const auto second = made->take_listener(where, {}).value();
        std::fprintf(stderr, "%s %d %d", first->local_url().c_str(), second == nullptr ? 1 : 0,
                     made->has_listener() ? 1 : 0);
        std::_Exit(0);
      },
      ::testing::ExitedWithCode(0), "ipc://" + files.file("a.sock") + " 1 0");
}

}  // namespace
}  // namespace ferry::systemd
