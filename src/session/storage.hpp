#pragma once
/// What a durable session needs of a disk.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

namespace ferry::session {

class storage {
 public:
  storage() = default;
  storage(const storage&) = delete;
  storage& operator=(const storage&) = delete;
  virtual ~storage() = default;

  /// Returns when everything that was stored into `range` before the call is on disk; more may be. May block, and may
  /// be called on any thread.
  /// @param range  of a mapped file of a session @return the error of the disk: what is on it is not known any more
  [[nodiscard]] virtual result<void> sync(bytes range) = 0;
};

/// Brings every transaction that waits to the disk, here and now.
/// @param session  a basic_persistent_session @return the error of the disk, with which the session is of no more use
template <class Session>
[[nodiscard]] result<void> sync_all(Session& session, storage& disk) {
  for (bytes range = session.next_sync(); !range.empty(); range = session.next_sync()) {
    if (const auto done = disk.sync(range); !done) {
      session.sync_failed();
      return done.error();
    }
    session.synced();
  }
  return {};
}

}  // namespace ferry::session
