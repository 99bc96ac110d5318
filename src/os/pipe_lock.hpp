#pragma once
/// The lock file of a pipe: who holds the lock has the pipe, what is in it tells until when (session/pipe_lease.hpp).
/// The file stays when the lock goes; the kernel lets go of the lock when its holder dies.

#include <ferry/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// Holds flock() of a file, on a descriptor that is never passed on.
class pipe_lock {
 public:
  /// Never waits; makes the file, for its owner alone, if there is none.
  /// @return busy: another holder lives | not_found | permission | bad_address: no plain file ...
  [[nodiscard]] static result<pipe_lock> try_acquire(const std::string& path);
  /// Whether somebody holds the lock of a file. Asking takes it for a moment, in which an attempt of somebody else can
  /// fail. @return no: also if there is no such file | permission ...
  [[nodiscard]] static result<bool> held(const std::string& path);
  /// Which process took the lock; nobody is disturbed. @return 0: none, or it cannot be seen from here, as one in
  /// another pid namespace
  [[nodiscard]] static std::int64_t holder(const std::string& path);

  /// What is in a lock file, at most `most` bytes of it; its lock is left alone. @return not_found | bad_address: no
  /// plain file | permission ...
  [[nodiscard]] static result<std::string> content_of(const std::string& path, std::size_t most);

  /// What is in it, at most `most` bytes of it.
  [[nodiscard]] result<std::string> read(std::size_t most) const;
  /// Writes the whole content again. @return closed: the file at this path is another one now, so that others may hold
  /// its lock | no_memory: no space | ...
  [[nodiscard]] result<void> write(std::string_view content) const;
  /// Whether the locked file still has its path: else others may hold the lock of another one.
  [[nodiscard]] bool still_there() const noexcept;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  pipe_lock(unique_fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  unique_fd fd_;
  std::string path_;
};

}  // namespace ferry::os
