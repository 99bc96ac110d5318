#pragma once
/// A named pipe beside a ring in a file: who sleeps in an event loop is woken by a byte in it. Each process has an open
/// file of its own, so that nobody can make another one block; it needs no connection, and so it outlives either side.

#include <ferry/error.hpp>

#include <cstdint>
#include <string>

#include "os/private_files.hpp"
#include "os/unique_fd.hpp"

namespace ferry::os {

class wake_pipe {
 public:
  wake_pipe() noexcept = default;

  /// Makes it, unless it is there. @param who  as for private files @return auth: somebody else's | bad_address:
  /// something else has that name | permission ...
  [[nodiscard]] static result<wake_pipe> make(const std::string& path, const file_users& who);
  /// @return not_found | bad_address: it is no pipe | permission ...
  [[nodiscard]] static result<wake_pipe> open(const std::string& path);

  /// Wakes whoever reads it. Never blocks; when it is full there is enough to wake up for. Thread safety: any.
  void ring() const noexcept;
  /// Takes what has woken us, or a part of it if it is very much. Never blocks.
  void take() const noexcept;
  /// Readable when somebody has rung.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }

 private:
  explicit wake_pipe(unique_fd fd) noexcept : fd_(std::move(fd)) {}
  unique_fd fd_;
};

}  // namespace ferry::os
