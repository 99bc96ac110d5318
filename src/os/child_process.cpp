#include "os/child_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

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

// The children of which an object knows; who is not among them is an orphan.
struct own_children {
  std::mutex lock;
  std::vector<pid_t> all;
};
own_children& known() {
  static own_children one;
  return one;
}

// Whether /proc says that it is a child of this process and has ended. "ID (NAME) STATE PARENT ...", and a name may
// have blanks and brackets.
bool has_ended_and_is_ours(pid_t number) {
  std::ifstream file("/proc/" + std::to_string(number) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  std::istringstream rest(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  char state = 0;
  pid_t parent = 0;
  return rest >> state >> parent && state == 'Z' && parent == ::getpid();
}

}  // namespace

void child_process::reap_orphans() {
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc", failed), end; !failed && at != end; at.increment(failed)) {
    const auto number = static_cast<pid_t>(std::strtol(at->path().filename().c_str(), nullptr, 10));
    if (number <= 1 || !has_ended_and_is_ours(number)) continue;
    const std::lock_guard lock(known().lock);  // nobody is being started: whoever was is known
    if (std::find(known().all.begin(), known().all.end(), number) == known().all.end())
      static_cast<void>(::waitpid(number, nullptr, WNOHANG));
  }
}

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
  {
    const std::lock_guard lock(known().lock);
    if (const int failed = spawn_plan(reads.get()).start(number, words, environment); failed != 0)
      return error::from_errno(failed, "start " + words.front());
    known().all.push_back(number);
  }
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
  {
    const std::lock_guard lock(known().lock);
    std::erase(known().all, number_);
  }
  const bool is_known = reaped == number_;
  number_ = -1;
  if (!is_known) return -1;
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

}  // namespace ferry::os
