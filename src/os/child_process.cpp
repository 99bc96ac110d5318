#include "os/child_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace ferry::os {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> made;
  for (const auto& one : texts) made.push_back(const_cast<char*>(one.c_str()));
  made.push_back(nullptr);
  return made;
}

// What a program is started with; frees what it holds.
class spawn_plan {
 public:
  explicit spawn_plan(int input) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);  // one of its own, so that what it starts can be ended with it
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~spawn_plan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  spawn_plan(const spawn_plan&) = delete;
  spawn_plan& operator=(const spawn_plan&) = delete;
  [[nodiscard]] int start(pid_t& number, const std::vector<std::string>& words,
                          const std::vector<std::string>& environment) {
    return ::posix_spawnp(&number, words.front().c_str(), &actions_, &attributes_, pointers(words).data(),
                          pointers(environment).data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

result<child_process> child_process::start(const std::vector<std::string>& words,
                                           const std::vector<std::string>& environment, std::string_view input) {
  if (words.empty()) return error(errc::misuse, "no program is named");
  if (input.size() > k_most_input) return error(errc::misuse, "more than 16 KiB of input for " + words.front());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return error::from_errno(errno, "make a pipe");
  const unique_fd reads(ends[0]);
  unique_fd writes(ends[1]);
  // A pipe holds it, so nobody waits for a program that does not read.
  if (!input.empty() && ::write(writes.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()))
    return error::from_errno(errno, "write to a pipe");
  writes.reset();
  ::fcntl(reads.get(), F_SETFL, 0);  // blocking, as a program expects it
  pid_t number = -1;
  if (const int failed = spawn_plan(reads.get()).start(number, words, environment); failed != 0)
    return error::from_errno(failed, "start " + words.front());
  child_process made(number, unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, number, 0))));
  if (!made.ended_) return error::from_errno(errno, "watch " + words.front());
  return made;
}

child_process::~child_process() {
  if (number_ < 0) return;
  ::kill(-number_, SIGKILL);
  static_cast<void>(reap());
}

int child_process::reap() noexcept {
  int raw = 0;
  pid_t reaped = -1;
  while ((reaped = ::waitpid(number_, &raw, 0)) < 0 && errno == EINTR) {
  }
  const bool known = reaped == number_;
  number_ = -1;
  if (!known) return -1;
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

}  // namespace ferry::os
