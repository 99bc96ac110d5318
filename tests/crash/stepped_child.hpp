#pragma once
/// A process that is stepped one machine instruction, or one system call, at a time.

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>

namespace ferry::test {

/// A child that does `work` from the moment it has stopped itself, under this process's hand.
class stepped_child {
  static constexpr int k_ptrace_forbidden = 77;

 public:
  enum class held : std::uint8_t { from_its_beginning, later };
  /// @param when  later: it runs by itself until take_hold()
  explicit stepped_child(const std::function<void()>& work, held when = held::from_its_beginning) {
    pid_ = ::fork();
    if (pid_ == 0) {
      if (when == held::from_its_beginning) {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(k_ptrace_forbidden);
        ::raise(SIGSTOP);
      }
      work();
      ::_exit(0);
    }
    if (when == held::from_its_beginning) {
      status_ = wait();
      if (!over_) ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_TRACESYSGOOD);
    }
  }
  ~stepped_child() { kill(); }
  stepped_child(const stepped_child&) = delete;
  stepped_child& operator=(const stepped_child&) = delete;

  [[nodiscard]] bool forbidden() const { return pid_ < 0 || WIFEXITED(status_); }
  /// @return false: it has ended
  [[nodiscard]] bool step() { return go_on(PTRACE_SINGLESTEP); }
  /// To the beginning or to the end of a system call, whichever comes first. @return false: it has ended
  [[nodiscard]] bool step_to_system_call() { return go_on(PTRACE_SYSCALL); }
  struct system_call {
    std::uint64_t number = 0;
    std::array<std::uint64_t, 6> arguments{};
  };
  /// The system call that it is about to make; none: it stands at the end of one.
  [[nodiscard]] std::optional<system_call> entering() const {
    __ptrace_syscall_info about{};
    if (over_ || ::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof about, &about) <= 0 ||
        about.op != PTRACE_SYSCALL_INFO_ENTRY)
      return {};
    system_call made{about.entry.nr, {}};
    std::copy_n(about.entry.args, made.arguments.size(), made.arguments.begin());
    return made;
  }
  /// Stops it where it is. @return false: ptrace is forbidden, or it has ended
  [[nodiscard]] bool take_hold() {
    if (::ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACESYSGOOD) != 0 ||
        ::ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr) != 0)
      return false;
    status_ = wait();
    return WIFSTOPPED(status_);
  }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// From now on it runs by itself.
  void let_go() const { (void)::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr); }
  void kill() {
    if (over_) return;
    ::kill(pid_, SIGKILL);
    while (!over_) status_ = wait();
  }

 private:
  [[nodiscard]] bool go_on(__ptrace_request how) {
    if (over_ || ::ptrace(how, pid_, nullptr, nullptr) != 0) return false;
    status_ = wait();
    return WIFSTOPPED(status_);
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    over_ = !WIFSTOPPED(status);
    return status;
  }
  pid_t pid_;
  int status_ = 0;
  bool over_ = false;
};

}  // namespace ferry::test
