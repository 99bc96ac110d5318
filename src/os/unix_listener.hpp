#pragma once
/// Unix sockets that listen: who may take over a socket file, and who removes it.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <sys/types.h>

#include <string>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// A listening Unix socket and, unless it is abstract, its file. The file is removed again with the object, if it is
/// still this one's file.
class unix_listener {
 public:
  /// Listens at "/path" or "@name". A socket file on which nobody listens is replaced; the decision is made under a
  /// lock on PATH.lock. Anything else at the path is left alone.
  /// @return address_in_use (somebody listens) | bad_address (not a socket, too long) | permission | not_found ...
  [[nodiscard]] static result<unix_listener> open(const std::string& path, const options& with);
  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;
  ~unix_listener() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_.get(); }
  void close() noexcept;

 private:
  unix_listener(unique_fd fd, std::string path, dev_t device, ino_t inode)
      : fd_(std::move(fd)), path_(std::move(path)), device_(device), inode_(inode) {}
  unique_fd fd_;
  std::string path_;  // empty: abstract
  dev_t device_;
  ino_t inode_;
};

}  // namespace ferry::os
