#include "apps/ferry/log_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ferry::app {
namespace {

// Not blocking: of a pipe that nobody reads this says so instead of waiting.
result<void> send_standard_error_to(const std::string& path) {
  const os::unique_fd file(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
  if (!file) return error::from_errno(errno, "open " + path);
  // In one step: who writes at the same time writes to the one file or to the other.
  if (::dup2(file.get(), STDERR_FILENO) < 0) return error::from_errno(errno, "log to " + path);
  return {};
}

}  // namespace

result<log_file> log_file::take(const std::string& path) {
  os::unique_fd before(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (const auto done = send_standard_error_to(path); !done) return done.error();
  return log_file(std::move(before), path);
}

result<void> log_file::reopen() { return send_standard_error_to(path_); }

log_file::~log_file() {
  if (before_) ::dup2(before_.get(), STDERR_FILENO);
}

}  // namespace ferry::app
