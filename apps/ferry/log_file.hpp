#pragma once
/// Standard error as a file that logrotate may rename.

#include <ferry/error.hpp>

#include <string>

#include "os/unique_fd.hpp"

namespace ferry::app {

/// While it lives, what goes to standard error is appended to a file, whoever writes it; then it goes where it went
/// before. One at a time in a process; one thread uses it, while others may write.
class log_file {
 public:
  /// @param path  made if it is not there, with mode 0640 @return why it cannot be opened
  [[nodiscard]] static result<log_file> take(const std::string& path);
  log_file(log_file&&) noexcept = default;
  log_file& operator=(log_file&&) = delete;
  ~log_file();

  /// From now on the file that has this path now, made if it is not there. No line is lost or cut.
  /// @return why it cannot be opened; the file before stays in use then
  [[nodiscard]] result<void> reopen();
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  log_file(os::unique_fd before, std::string path) : before_(std::move(before)), path_(std::move(path)) {}
  os::unique_fd before_;  // where standard error went
  std::string path_;
};

}  // namespace ferry::app
