#include "os/child_process.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace ferry::os {
namespace {

using words = std::vector<std::string>;

int status_of(const words& call, const words& environment = {}, std::string_view input = {}) {
  auto made = child_process::start(call, environment, input);
  EXPECT_TRUE(made) << made.error().text();
  if (!made) return -1;
  pollfd ended{made->ended_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 60'000), 1);
  return made->reap();
}

TEST(child_process, is_told_its_input_and_answers_with_its_status) {
  EXPECT_EQ(status_of({"/bin/sh", "-c", "read a; test \"$a\" = 'x y'"}, {}, "x y\n"), 0);
  EXPECT_EQ(status_of({"/bin/sh", "-c", "exit 7"}, {}, "nobody reads this"), 7);
  EXPECT_EQ(status_of({"/bin/sh", "-c", "kill -9 $$"}), 128 + 9);
  EXPECT_EQ(status_of({"/bin/sh", "-c", "cat >/dev/null; echo said to nobody"}), 0) << "the input ends";
}

TEST(child_process, has_the_environment_that_it_is_given_and_no_other) {
  EXPECT_EQ(status_of({"/bin/sh", "-c", "test \"$A\" = 'b c' && test -z \"$HOME\""}, {"A=b c"}), 0);
}

TEST(child_process, has_none_of_our_descriptors) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);  // not closed by exec
  EXPECT_EQ(status_of({"/bin/sh", "-c", "test ! -e /proc/self/fd/" + std::to_string(ends[1])}), 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(child_process, that_cannot_be_started_says_which) {
  const auto none = child_process::start({"/nonexistent/program"}, {}, "");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text().find("/nonexistent/program"), std::string::npos) << none.error().text();
  EXPECT_FALSE(child_process::start({}, {}, ""));
  EXPECT_FALSE(child_process::start({"/bin/true"}, {}, std::string(child_process::k_most_input + 1, 'x')));
}

TEST(child_process, ends_with_its_object_and_so_does_what_it_has_started) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int error_before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);  // which both of them have
  auto made = child_process::start({"/bin/sh", "-c", "sleep 600 & wait"}, {"PATH=/bin:/usr/bin"}, "");
  ::dup2(error_before, STDERR_FILENO);
  ::close(error_before);
  ::close(ends[1]);
  ASSERT_TRUE(made);
  pollfd ended{made->ended_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 0), 0);
  { const auto gone = std::move(*made); }
  char none = 0;
  EXPECT_EQ(::read(ends[0], &none, 1), 0) << "nobody has its other end";
  ::close(ends[0]);
}

TEST(child_process, keeps_its_end_for_its_object_while_those_that_nobody_knows_are_reaped) {
  auto ours = child_process::start({"/bin/sh", "-c", "exit 7"}, {}, "");
  ASSERT_TRUE(ours);
  pollfd ended{ours->ended_fd(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  const pid_t left = ::fork();
  if (left == 0) ::_exit(0);
  siginfo_t about{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(left), &about, WEXITED | WNOWAIT), 0);
  child_process::reap_orphans();
  EXPECT_EQ(::waitpid(left, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_EQ(ours->reap(), 7);
}

}  // namespace
}  // namespace ferry::os
