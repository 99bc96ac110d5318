#pragma once
/// For tests: whether this process has children, running or dead and unreaped.

#include <sys/wait.h>

#include <cerrno>

namespace ferry::bench {

[[nodiscard]] inline bool children_are_gone() noexcept {
  return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
}

}  // namespace ferry::bench
