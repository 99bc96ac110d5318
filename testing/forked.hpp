#pragma once
/// A process that goes on with the memory of the test, and is killed with it.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace ferry::test {

/// One thread uses it, and was the only one of its process when the child was made.
class forked {
 public:
  /// @param body  what the child does; it ends when that returns
  template <class Body>
  explicit forked(const Body& body) : pid_(::fork()) {
    if (pid_ != 0) return;
    body();
    ::_exit(1);
  }
  ~forked() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  forked(const forked&) = delete;
  forked& operator=(const forked&) = delete;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }  ///< -1: it could not be made

 private:
  const pid_t pid_;
};

}  // namespace ferry::test
