#include "apps/ferry/workplace.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "apps/ferry/app.hpp"
#include "os/unique_fd.hpp"

namespace ferry::app {
namespace {

/// Removed with the object.
class own_directory {
 public:
  own_directory() {
    const char* const base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/ferry.XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) failed_ = errno;
  }
  ~own_directory() {
    std::error_code ignored;
    if (failed_ == 0) std::filesystem::remove_all(path_, ignored);
  }
  own_directory(const own_directory&) = delete;
  own_directory& operator=(const own_directory&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int failed() const noexcept { return failed_; }

 private:
  std::string path_;
  int failed_ = 0;
};

/// The signals that end the demo are held back, to be read from a descriptor, until the object goes.
class held_signals {
 public:
  held_signals() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&wanted, number);
    ::sigprocmask(SIG_BLOCK, &wanted, &before_);
    arrivals_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC));
  }
  ~held_signals() { release(); }
  held_signals(const held_signals&) = delete;
  held_signals& operator=(const held_signals&) = delete;
  void release() noexcept { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  [[nodiscard]] int fd() const noexcept { return arrivals_.get(); }
  [[nodiscard]] int take() noexcept {
    signalfd_siginfo about{};
    return ::read(fd(), &about, sizeof about) == sizeof about ? static_cast<int>(about.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  os::unique_fd arrivals_;
};

/// Reaps `child` and what it left to us; all of it has ended, or ends now by its parent-death signal.
int reap_all(pid_t child) noexcept {
  int of_child = 0;
  for (;;) {
    int status = 0;
    const pid_t one = ::waitpid(-1, &status, 0);
    if (one == child) of_child = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (one < 0 && errno != EINTR) return of_child;
  }
}

}  // namespace

result<int> in_child(const std::function<int()>& body) {
  held_signals signals;
  if (signals.fd() < 0) return error::from_errno(errno, "signalfd");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::fflush(nullptr);

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return error::from_errno(errno, "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    signals.release();
    const int status = body();
    std::fflush(nullptr);
    ::_exit(status);
  }

  const os::unique_fd ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!ended) ::kill(child, SIGKILL);
  int interrupted = 0;
  while (ended) {
    pollfd watched[] = {{ended.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) ::kill(child, SIGKILL);
    if (watched[1].revents != 0 && interrupted == 0) {
      interrupted = signals.take();
      ::kill(child, SIGKILL);
    }
    if (watched[0].revents != 0) break;
  }
  const int status = reap_all(child);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  return interrupted != 0 ? 128 + interrupted : status;
}

result<int> in_own_directory(const std::function<int(const std::string& directory)>& body) {
  const own_directory directory;
  if (directory.failed() != 0) return error::from_errno(directory.failed(), "make " + directory.path());
  return in_child([&] { return body(directory.path()); });
}

int told_of(const result<int>& outcome) noexcept {
  if (!outcome) return complain(outcome.error());
  if (*outcome > 128) {
    if (::isatty(STDERR_FILENO) == 1) static_cast<void>(::write(STDERR_FILENO, "\r\033[K", 4) < 0);  // the bar
    say("interrupted; nothing is left behind");
  }
  return *outcome;
}

}  // namespace ferry::app
