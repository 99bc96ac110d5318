#pragma once
/// A process that is stepped one machine instruction, or one system call, at a time.

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

namespace ferry::test {

/// A child that does `work` from the moment it has stopped itself, under this process's hand.
class stepped_child {
  static constexpr int k_ptrace_forbidden = 77;

 public:
  explicit stepped_child(const std::function<void()>& work) {
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(k_ptrace_forbidden);
      ::raise(SIGSTOP);
      work();
      ::_exit(0);
    }
    status_ = wait();
  }
  ~stepped_child() { kill(); }
  stepped_child(const stepped_child&) = delete;
  stepped_child& operator=(const stepped_child&) = delete;

  [[nodiscard]] bool forbidden() const { return pid_ < 0 || WIFEXITED(status_); }
  /// @return false: it has ended
  [[nodiscard]] bool step() { return go_on(PTRACE_SINGLESTEP); }
  /// To the beginning or to the end of a system call, whichever comes first. @return false: it has ended
  [[nodiscard]] bool step_to_system_call() { return go_on(PTRACE_SYSCALL); }
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
