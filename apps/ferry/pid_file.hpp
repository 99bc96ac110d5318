#pragma once
/// A file with the number of this process, of which there is one at a time.

#include <ferry/error.hpp>

#include <string>

#include "os/unique_fd.hpp"

namespace ferry::app {

/// Holds a lock on the file, so that one whose process died is taken over, and removes it at the end.
class pid_file {
 public:
  /// @return busy: another process has it, with its number | why the file cannot be written
  [[nodiscard]] static result<pid_file> take(const std::string& path);
  /// The lock of a process whose place this one takes; what the file says stays until claim().
  /// @return misuse: it is locked on another file than that at the path
  [[nodiscard]] static result<pid_file> adopt(os::unique_fd locked, const std::string& path);
  /// Writes the number of this process. @return why it cannot be written
  result<void> claim();
  /// Another process has the lock, too: the file is left to it.
  void give_away() noexcept { fd_.reset(); }
  /// Of the locked file.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// What the file says: the number of the process that has it.
  [[nodiscard]] std::string holder() const;
  pid_file(pid_file&&) noexcept = default;
  pid_file& operator=(pid_file&&) = delete;
  ~pid_file();

 private:
  pid_file(os::unique_fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  os::unique_fd fd_;
  std::string path_;
};

}  // namespace ferry::app
