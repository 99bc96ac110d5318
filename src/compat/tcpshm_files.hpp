#pragma once
/// The files of tcpshm: DIR/LOCAL_REMOTE.ptcp, DIR/CLIENT.lastserver, and the shared memory /LOCAL_REMOTE.shm. Made
/// with mode 0600 and allocated in full. Source: docs/compat-tcpshm.md.

#include <ferry/error.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "os/bus_guard.hpp"
#include "os/mapping.hpp"
#include "os/owner_lock.hpp"

namespace ferry::compat::tcpshm {

/// A file that is mapped, and of which this process alone has one byte locked.
class held_file {
 public:
  [[nodiscard]] std::span<std::byte> memory() const noexcept { return map_.span(); }
  /// Somebody has cut it off meanwhile.
  [[nodiscard]] bool torn() const noexcept { return guard_->torn(); }

  /// Opens it, or makes it, full of zeros.
  /// @param size  and at most `slack` more; a shorter one is taken if it has nothing but zeros, as a death while it was
  /// made leaves one @param lock_byte  of owner_lock
  /// @return busy: another process has it | truncated | corrupt (too long) | no_memory | permission ...
  [[nodiscard]] static result<held_file> open(const std::string& path, std::size_t size, std::size_t slack,
                                              unsigned lock_byte);

 private:
  held_file(os::owner_lock lock, os::mapping map) : lock_(std::move(lock)), map_(std::move(map)) {}
  os::owner_lock lock_;
  os::mapping map_;
  std::unique_ptr<os::bus_guard> guard_;
};

/// Makes it with mode 0700 if it does not exist. @return bad_address: no directory | permission ...
[[nodiscard]] result<void> require_directory(const std::string& path);

[[nodiscard]] std::string queue_path(const std::string& directory, const std::string& from, const std::string& to);
/// Where Linux's shm_open() puts /FROM_TO.shm.
[[nodiscard]] std::string ring_path(const std::string& from, const std::string& to);

/// The name of the server that a client met last; empty: none. @return corrupt: not of `name_size` bytes | ...
[[nodiscard]] result<std::string> load_last_server(const std::string& directory, const std::string& client,
                                                   std::size_t name_size);
/// As one step: after a death the file has the old name or the new one.
[[nodiscard]] result<void> save_last_server(const std::string& directory, const std::string& client,
                                            const std::string& server, std::size_t name_size);

}  // namespace ferry::compat::tcpshm
