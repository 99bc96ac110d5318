#pragma once
/// Who has a file: a lock on one byte of it that the kernel releases when its holder dies.

#include <ferry/error.hpp>

#include <string>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// The bytes that the two sides of a ring in a file hold.
inline constexpr unsigned k_writer_byte = 0;
inline constexpr unsigned k_reader_byte = 1;

/// Holds an exclusive lock on one byte of a file, on an open file description of its own. That is never passed to
/// another process and does not survive exec: a copy elsewhere would keep the lock when its holder is gone.
class owner_lock {
 public:
  /// Never waits. @param byte  may lie behind the end of the file
  /// @return busy: another holder lives | not_found | permission ...
  [[nodiscard]] static result<owner_lock> acquire(const std::string& path, unsigned byte);
  /// Whether somebody holds it; asking disturbs nobody. @param fd  of the file, readable
  [[nodiscard]] static bool held(int fd, unsigned byte) noexcept;
  /// Whether the locked file still has this path: else another file has taken its place, or none.
  [[nodiscard]] bool still_at(const std::string& path) const noexcept;

 private:
  explicit owner_lock(unique_fd fd) : fd_(std::move(fd)) {}
  unique_fd fd_;
};

}  // namespace ferry::os
