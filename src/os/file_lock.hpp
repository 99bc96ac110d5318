#pragma once
/// A lock on a file that the kernel releases when the holder dies.

#include <ferry/error.hpp>

#include <string>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// Holds an exclusive lock on a file that exists only while somebody holds or wants it. The descriptor is never passed
/// to another process, so the lock ends with this one.
class file_lock {
 public:
  /// Waits for other holders, who keep it only for moments.
  /// @return permission | not_found | bad_address ... with the path in the text.
  [[nodiscard]] static result<file_lock> acquire(const std::string& path);
  /// Never waits: for directories of somebody who may hold the lock for ever. @return busy: there is another holder |
  /// as acquire()
  [[nodiscard]] static result<file_lock> try_acquire(const std::string& path);
  file_lock(file_lock&&) noexcept = default;
  file_lock& operator=(file_lock&&) noexcept = default;
  ~file_lock();

 private:
  [[nodiscard]] static result<file_lock> take(const std::string& path, int how);
  file_lock(unique_fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  unique_fd fd_;
  std::string path_;
};

}  // namespace ferry::os
