#pragma once
/// One side's files of a persistent session: found or made, locked, mapped, guarded, recovered. Source:
/// docs/sessions.md.
///
///     nothing --make both aside, sync; move the ring, then the other one, to their places--> both files
///     both files --lock the ring; with durability::disk sync--> recover --> at work
///
/// A death in between leaves files aside, which the next open() finishes or removes.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "os/bus_guard.hpp"
#include "os/mapping.hpp"
#include "os/owner_lock.hpp"
#include "os/session_directory.hpp"
#include "os/unique_fd.hpp"
#include "session/login.hpp"
#include "session/persistent_session.hpp"
#include "session/storage.hpp"

namespace ferry::os {

/// Does not move. Two descriptors and two mappings. Thread safety: one thread at a time, but for disk().
class session_store {
 public:
  struct settings {
    std::size_t ring_bytes = 1u << 20;  ///< of a ring that is made; one that exists keeps its size
    session::durability durable = session::durability::process;
    bool prefault = false;  ///< touch all pages of the ring now
  };

  /// Opens the files, or makes them, allocated in full: later a full disk does not matter. Never waits, but for the
  /// disk, and for who makes the same files in this moment.
  /// @param dir  session_directory()
  /// @return busy: another process, or another object of this one, has the session; the text has the file |
  /// no_memory: no room on the disk, with how much is wanted where | corrupt, truncated (damaged, or one of the two is
  /// missing) | unsupported (another version) | auth (another user's) | bad_option (a name, a size) | permission |
  /// not_found (the directory) ... With an error nothing was changed, but for finishing what a dead process had begun
  [[nodiscard]] static result<std::unique_ptr<session_store>> open(const std::string& dir, const session_names& names,
                                                                   const settings& with);
  session_store(const session_store&) = delete;
  session_store& operator=(const session_store&) = delete;
  ~session_store() = default;

  [[nodiscard]] session::persistent_session& session() noexcept { return *session_; }
  /// As the header has it.
  [[nodiscard]] const session::file_identity& who() const noexcept { return who_; }
  /// Keeps the peer's name, on disk, in a file that takes the place of the one with the slots; a full disk does not
  /// matter. Everything committed is made durable before, so no sync that session() asked for may be under way.
  /// Afterwards session() is another object, as after open(): nothing is attached, and what was identify()-ed and not
  /// committed is forgotten. Nothing happens if it is the name.
  /// @return misuse: a transaction is open, or these files are of another peer | bad_option: cannot be a name |
  /// network ...: the disk
  [[nodiscard]] result<void> name_peer(std::string_view name);

  /// Of the ring's file, for reading and writing; for passing to the peer. Stays ours.
  [[nodiscard]] int ring_fd() const noexcept { return ring_fd_.get(); }
  /// The whole file of the ring: header, shared page, records.
  [[nodiscard]] std::span<std::byte> ring_memory() const noexcept { return ring_.at.span(); }
  /// Syncs ranges of both files; on any thread, while transactions go on. Lives as long as this.
  [[nodiscard]] session::storage& disk() noexcept { return disk_; }
  /// Somebody cut off one of the files: a page was missing, and reads as zeros. This is of no more use.
  [[nodiscard]] bool torn() const noexcept { return file_.guard->torn() || ring_.guard->torn(); }

  /// Keeps numbers that did not fit together beside the files, for who mends the session. What cannot be written is
  /// not kept.
  /// @param peer_session  that the peer spoke of; 0: ours
  void note_mismatch(const session::mismatch& numbers, std::uint64_t peer_session = 0) noexcept;
  /// After a login that fitted.
  void forget_mismatch() noexcept;

  /// Removes the files, whatever they hold: for those that open() calls damaged.
  /// @return busy | permission ... Nothing there is fine
  [[nodiscard]] static result<void> remove(const std::string& dir, const session_names& names);

 private:
  struct guarded {
    mapping at;
    std::unique_ptr<bus_guard> guard;
  };
  class mapped_disk final : public session::storage {
   public:
    explicit mapped_disk(const session_store& of) noexcept : of_(&of) {}
    [[nodiscard]] result<void> sync(bytes range) override;

   private:
    const session_store* of_;
  };

  session_store(session_paths paths, session_names names, session::durability how, owner_lock lock)
      : paths_(std::move(paths)), names_(std::move(names)), how_(how), lock_(std::move(lock)), disk_(*this) {}
  [[nodiscard]] result<void> map(bool prefault);
  [[nodiscard]] result<void> map_ring(bool prefault);
  [[nodiscard]] result<void> map_file();
  [[nodiscard]] result<void> recover();
  [[nodiscard]] result<std::unique_ptr<session::persistent_session>> recovered_from(std::span<std::byte> file) const;

  session_paths paths_;
  session_names names_;
  session::durability how_;
  owner_lock lock_;  // of the ring, which keeps its file when the other one is replaced; released last
  unique_fd ring_fd_;
  guarded ring_;
  guarded file_;
  mapped_disk disk_;
  session::file_identity who_;
  std::unique_ptr<session::persistent_session> session_;
};

}  // namespace ferry::os
