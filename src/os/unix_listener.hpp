#pragma once
/// Unix sockets that listen: who may take over a socket file, and who removes it.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <cstdint>
#include <string>

#include "os/file_id.hpp"
#include "os/unique_fd.hpp"

namespace ferry::os {

/// A listening Unix socket and, unless it is abstract, its file. The file is removed again with the object, if it is
/// still this one's file.
class unix_listener {
 public:
  /// Who can take the lock: others who take it for moments, or somebody who may hold it for ever.
  enum class lock_of : std::uint8_t { friends, anybody };

  /// Listens at "/path" or "@name". A socket file on which nobody listens is replaced; the decision is made under a
  /// lock on PATH.lock. Anything else at the path is left alone.
  /// @param lock  of anybody: it is not waited for, here and in close(), which then leaves the file to the next
  /// listener
  /// @return busy (a lock of anybody, and somebody has it) | address_in_use (somebody listens) | bad_address (not a
  /// socket, too long) | permission | not_found ...
  [[nodiscard]] static result<unix_listener> open(const std::string& path, const options& with,
                                                  lock_of lock = lock_of::friends);
  /// A Unix socket that listens already. @param owns_file  its file is removed with this object, as one's own
  [[nodiscard]] static unix_listener adopt(unique_fd listening, bool owns_file);
  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;
  ~unix_listener() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_.get(); }
  void close() noexcept;
  /// Somebody else has the socket, too, and removes its file.
  void keep_file() noexcept { path_.clear(); }
  /// Whether it is found by its path still: nobody has removed or replaced its file. Abstract ones always are.
  [[nodiscard]] bool has_file() const noexcept;
  [[nodiscard]] bool owns_file() const noexcept { return !path_.empty(); }

 private:
  unix_listener(unique_fd fd, std::string path, const file_id& id, lock_of lock)
      : fd_(std::move(fd)), path_(std::move(path)), id_(id), lock_(lock) {}
  unique_fd fd_;
  std::string path_;  // empty: abstract
  file_id id_;
  lock_of lock_;
};

}  // namespace ferry::os
