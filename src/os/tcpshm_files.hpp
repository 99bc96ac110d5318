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

namespace ferry::os::tcpshm {

/// A file that is mapped, and of which this process alone has one byte locked.
class held_file {
 public:
  [[nodiscard]] std::span<std::byte> memory() const noexcept { return map_.span(); }
  /// Somebody has cut it off meanwhile.
  [[nodiscard]] bool torn() const noexcept { return guard_->torn(); }
  /// Waits until the disk has what is there.
  [[nodiscard]] result<void> sync(const std::string& path) const;

  /// Opens it, or makes it, full of zeros, beside its place until it is whole.
  /// @param size  and at most `slack` more @param lock_byte  of owner_lock
  /// @return busy: another process has it | truncated | corrupt (too long) | no_memory | permission ...
  [[nodiscard]] static result<held_file> open(const std::string& path, std::size_t size, std::size_t slack,
                                              unsigned lock_byte);

 private:
  held_file(owner_lock lock, mapping map) : lock_(std::move(lock)), map_(std::move(map)) {}
  owner_lock lock_;
  mapping map_;
  std::unique_ptr<bus_guard> guard_;
};

/// Makes it with mode 0700 if it does not exist. @return bad_address: no directory | permission ...
[[nodiscard]] result<void> require_directory(const std::string& path);

[[nodiscard]] std::string queue_path(const std::string& directory, const std::string& from, const std::string& to);
/// Beside the queue: numbers that did not fit together, see session_note.hpp.
[[nodiscard]] std::string note_path(const std::string& queue);
/// Where Linux's shm_open() puts /FROM_TO.shm.
[[nodiscard]] std::string ring_path(const std::string& from, const std::string& to);

/// The name of the server that a client met last; empty: none. @return corrupt: not of `name_size` bytes, or it must be
/// damaged: there is nothing of such a peer, but there is of one whose name differs in one byte, or of any if the file
/// is empty | ...
[[nodiscard]] result<std::string> load_last_server(const std::string& directory, const std::string& client,
                                                   std::size_t name_size);
/// The same where nobody knows the size of names. @return as load_last_server(), but never corrupt
[[nodiscard]] result<std::string> peek_last_server(const std::string& directory, const std::string& client);
/// The client begins anew at its next login. There may be none.
[[nodiscard]] result<void> remove_last_server(const std::string& directory, const std::string& client);
/// As one step: after a death the file has the old name or the new one.
[[nodiscard]] result<void> save_last_server(const std::string& directory, const std::string& client,
                                            const std::string& server, std::size_t name_size);

}  // namespace ferry::os::tcpshm
