#include "os/session_store.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "os/file_lock.hpp"
#include "os/random.hpp"
#include "os/session_note.hpp"
#include "ring/ring_layout.hpp"

namespace ferry::os {
namespace {

constexpr std::size_t k_file_bytes = sizeof(session::session_file);

bool exists(const std::string& path) {
  struct stat there {};
  return ::lstat(path.c_str(), &there) == 0;
}

std::uint64_t now() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count());
}

error one_is_missing(const std::string& missing, const std::string& there) {
  return {errc::corrupt, there + " is there and " + missing +
                             " is not: a session has both; restore both from a backup, or reset the session"};
}

result<void> sync_memory(bytes range, const std::string& path) {
  const auto skipped = reinterpret_cast<std::uintptr_t>(range.data()) % page_bytes(false);
  auto* const from = const_cast<std::byte*>(range.data()) - skipped;
  if (::msync(from, range.size() + skipped, MS_SYNC) == 0) return {};
  return error::from_errno(errno, "bring " + path + " to the disk");
}

result<void> move(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return error::from_errno(errno, "move " + from + " to " + to);
}

// A file that is not in its place yet; removed unless it gets there.
class file_aside {
 public:
  static result<file_aside> make(const std::string& path, std::size_t size) {
    ::unlink(path.c_str());  // of somebody who died here
    auto fd = create_file(path, size);
    if (!fd) return fd.error();
    return of(path, fd->get(), size);
  }
  /// Of a file that has its size already, and loses its name.
  static result<file_aside> take(const std::string& spare, const std::string& path, std::size_t size) {
    if (::rename(spare.c_str(), path.c_str()) != 0) return make(path, size);
    const auto fd = open_file(path, true);
    const auto there = fd ? file_size(fd->get(), path) : fd.error();
    if (!there || *there != size) return make(path, size);
    return of(path, fd->get(), size);
  }
  file_aside(file_aside&& other) noexcept
      : path_(std::exchange(other.path_, std::string())), at_(std::move(other.at_)) {}
  file_aside& operator=(file_aside&&) = delete;
  ~file_aside() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  [[nodiscard]] std::span<std::byte> memory() const noexcept { return at_.span(); }
  [[nodiscard]] result<void> sync() const { return sync_memory(at_.span(), path_); }
  /// @return its memory
  [[nodiscard]] result<mapping> move_to(const std::string& place) {
    if (const auto moved = move(path_, place); !moved) return moved.error();
    path_.clear();
    return std::move(at_);
  }
  /// From now on a death is made good by who comes next.
  void keep() noexcept { path_.clear(); }

 private:
  explicit file_aside(std::string path) : path_(std::move(path)) {}
  static result<file_aside> of(const std::string& path, int fd, std::size_t size) {
    file_aside made(path);
    auto at = mapping::of(fd, size, true);
    if (!at) return at.error();
    made.at_ = std::move(*at);
    return made;
  }
  std::string path_;
  mapping at_;
};

result<file_aside> make_ring(const session_paths& at, const ring::geometry& sizes, const session::file_identity& who) {
  auto made = file_aside::make(at.new_ring(), sizes.total());
  if (!made) return made.error();
  ring::format(made->memory(), sizes,
               {who.own_name + "~" + who.peer_name, who.ring_epoch, who.created_at,
                static_cast<std::uint32_t>(::getpid()), ::geteuid()});
  if (const auto synced = made->sync(); !synced) return synced.error();
  return std::move(*made);
}

result<file_aside> make_file(const session_paths& at, const session::file_identity& who) {
  auto made = file_aside::make(at.new_file(), k_file_bytes);
  if (!made) return made.error();
  session::format_file(made->memory(), who, random_u64() | 1);
  if (const auto synced = made->sync(); !synced) return synced.error();
  return std::move(*made);
}

// So that a full disk does not matter when the peer is met. @return no_memory
result<void> make_spare(const session_paths& at) {
  struct stat there {};
  if (::lstat(at.spare().c_str(), &there) == 0 && there.st_size == static_cast<off_t>(k_file_bytes)) return {};
  auto made = file_aside::make(at.spare(), k_file_bytes);
  if (!made) return made.error();
  made->keep();
  return {};
}

// The ring goes to its place first: as long as it is not there, what lies aside is worth nothing.
result<void> move_to_their_places(const session_paths& at, file_aside ring, file_aside file) {
  if (const auto synced = sync_directory(at.directory); !synced) return synced.error();
  if (const auto moved = ring.move_to(at.ring()); !moved) return moved.error();
  file.keep();
  if (const auto synced = sync_directory(at.directory); !synced) return synced.error();
  if (const auto moved = move(at.new_file(), at.file()); !moved) return moved.error();
  return sync_directory(at.directory);
}

result<void> make_files(const session_paths& at, const session_names& names, std::uint64_t ring_bytes) {
  const auto making = file_lock::acquire(at.lock());
  if (!making) return making.error();
  if (exists(at.ring())) return {};  // somebody was faster
  if (exists(at.file())) return one_is_missing(at.ring(), at.file());
  const ring::geometry sizes{ring_bytes, 1, page_bytes(false)};
  if (const auto checked = ring::check(sizes); !checked) return checked.error();
  const session::file_identity who{names.own, names.peer, ring_bytes, random_u64() | 1, now()};
  auto ring = make_ring(at, sizes, who);
  if (!ring) return ring.error();
  auto file = make_file(at, who);
  if (!file) return file.error();
  if (names.peer.empty())
    if (auto spare = make_spare(at); !spare) return spare;
  return move_to_their_places(at, std::move(*ring), std::move(*file));
}

// A file for mapping and its size.
struct sized_file {
  unique_fd fd;
  std::size_t size = 0;
};
result<sized_file> open_sized(const std::string& path) {
  auto fd = open_file(path, true);
  if (!fd) return fd.error();
  const auto size = file_size(fd->get(), path);
  if (!size) return size.error();
  return sized_file{std::move(*fd), *size};
}

// Where the ring is in its place and the other file is not: somebody died between the two moves, or it was lost.
result<void> finish_making(const session_paths& at) {
  const auto making = file_lock::acquire(at.lock());  // who makes it now holds this, and not the ring's
  if (!making) return making.error();
  if (exists(at.file())) return {};
  if (!exists(at.new_file())) return one_is_missing(at.file(), at.ring());
  if (const auto moved = move(at.new_file(), at.file()); !moved) return moved.error();
  return sync_directory(at.directory);
}

}  // namespace

result<void> session_store::mapped_disk::sync(bytes range) {
  auto done = sync_memory(range, of_->paths_.base);
  if (done && of_->torn())
    return error(errc::corrupt, of_->paths_.base + ": a file of the session was cut off while it was in use");
  return done;
}

auto session_store::open(const std::string& dir, const session_names& names, const settings& with)
    -> result<std::unique_ptr<session_store>> {
  if (const auto checked = check_names(names); !checked) return checked.error();
  const session_paths at(dir, names);
  for (bool made = false;;) {
    auto lock = owner_lock::acquire(at.ring(), k_writer_byte);
    if (!lock && lock.error() == errc::not_found && !std::exchange(made, true)) {
      if (const auto done = make_files(at, names, with.ring_bytes); !done) return done.error();
      continue;
    }
    if (!lock && lock.error() == errc::busy)
      return error(errc::busy,
                   at.ring() + " is in use: another process, or another object of this one, has the session",
                   lock.error().system_errno());
    if (!lock) return lock.error();
    if (!lock->still_at(at.ring())) continue;  // somebody removed it before we had the lock
    std::unique_ptr<session_store> store(new session_store(at, names, with.durable, std::move(*lock)));
    if (const auto mapped = store->map(with.prefault); !mapped) return mapped.error();
    if (const auto recovered = store->recover(); !recovered) return recovered.error();
    return store;
  }
}

result<void> session_store::map(bool prefault) {
  if (!exists(paths_.file()) || exists(paths_.lock()))
    if (auto finished = finish_making(paths_); !finished) return finished;
  // What was about to take a place when its maker died.
  ::unlink(paths_.new_file().c_str());
  ::unlink(paths_.new_ring().c_str());
  ::unlink(note_aside(paths_.mismatch()).c_str());
  if (names_.peer.empty()) (void)make_spare(paths_);
  if (auto mapped = map_file(); !mapped) return mapped;
  return map_ring(prefault);
}

result<void> session_store::map_file() {
  const std::string path = paths_.file();
  const auto file = open_sized(path);
  if (!file) return file.error();
  // Shorter or longer is told with the numbers that would do.
  const std::vector<std::byte> other(file->size < k_file_bytes ? file->size : 0);
  if (file->size < k_file_bytes) return session::read_identity(other).error().in(path);
  auto at = mapping::of(file->fd.get(), file->size, true);
  if (!at) return at.error();
  file_.at = std::move(*at);
  file_.guard = std::make_unique<bus_guard>(file_.at.span());
  auto who = read_owner(file_.at.span(), names_, path);
  if (!who) return who.error();
  who_ = std::move(*who);
  return {};
}

result<void> session_store::map_ring(bool prefault) {
  const std::string path = paths_.ring();
  auto file = open_sized(path);
  if (!file) return file.error();
  const auto sizes = read_ring_sizes(file->fd.get(), file->size, path);
  if (!sizes) return sizes.error();
  auto at = mapping::of(file->fd.get(), sizes->total(), true, prefault);
  if (!at) return at.error();
  ring_.at = std::move(*at);
  ring_.guard = std::make_unique<bus_guard>(ring_.at.span());
  ring_fd_ = std::move(file->fd);
  return {};
}

result<void> session_store::recover() {
  if (how_ == session::durability::disk) {
    // What a dead process left to the system may not have reached the disk yet.
    if (auto synced = disk_.sync(ring_.at.span()); !synced) return synced;
    if (auto synced = disk_.sync(file_.at.span()); !synced) return synced;
    if (auto synced = sync_directory(paths_.directory); !synced) return synced;
  }
  auto recovered = recovered_from(file_.at.span());
  if (torn()) return error(errc::truncated, paths_.base + ": a file of the session was cut off while it was opened");
  if (!recovered) return recovered.error();
  session_ = std::move(*recovered);
  return {};
}

auto session_store::recovered_from(std::span<std::byte> file) const
    -> result<std::unique_ptr<session::persistent_session>> {
  const auto out = session::outgoing_ring(ring_.at.span(), who_);
  if (!out) return out.error().in(paths_.ring());
  auto recovered = session::persistent_session::recover(file, *out, how_);
  if (!recovered) return recovered.error().in(paths_.base);
  return recovered;
}

result<void> session_store::name_peer(std::string_view name) {
  if (auto checked = session::check_name(name, "peer"); !checked) return checked;
  if (who_.peer_name == name) return {};
  if (!names_.peer.empty())
    return error(errc::misuse, paths_.base + ": these are the files of the session with " + names_.peer);
  if (session_->open()) return error(errc::misuse, "a session cannot get another peer while a transaction is open");
  if (auto synced = session::sync_all(*session_, disk_); !synced) return synced;
  auto made = file_aside::take(paths_.spare(), paths_.new_file(), k_file_bytes);
  if (!made) return made.error();
  auto guard = std::make_unique<bus_guard>(made->memory());
  std::memcpy(made->memory().data(), file_.at.data(), k_file_bytes);
  session::name_peer(made->memory(), name);
  auto recovered = recovered_from(made->memory());
  if (!recovered) return recovered.error();
  if (auto synced = made->sync(); !synced) return synced;
  auto at = made->move_to(paths_.file());
  if (!at) return at.error();
  session_ = std::move(*recovered);
  file_.guard = std::move(guard);
  file_.at = mapping(std::move(*at));  // the one before goes here, and gives its room back
  who_.peer_name = name;
  (void)make_spare(paths_);  // else the next open() tries again
  return sync_directory(paths_.directory);
}

void session_store::note_mismatch(const session::mismatch& numbers, std::uint64_t peer_session) noexcept {
  os::note_mismatch(paths_.mismatch(), peer_session == 0 ? session_->session() : peer_session, numbers);
}

void session_store::forget_mismatch() noexcept { remove_note(paths_.mismatch()); }

result<void> session_store::remove(const std::string& dir, const session_names& names) {
  if (auto checked = check_names(names); !checked) return checked;
  const session_paths at(dir, names);
  const auto making = file_lock::acquire(at.lock());
  if (!making) return making.error();
  const auto lock = owner_lock::acquire(at.ring(), k_writer_byte);
  if (!lock && lock.error() != errc::not_found) return lock.error();
  remove_note(at.mismatch());
  // The ring last: as long as it is there nobody makes another one.
  for (const std::string& path : {at.new_file(), at.new_ring(), at.spare(), at.file(), at.ring()})
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return error::from_errno(errno, "remove " + path);
  return sync_directory(at.directory);
}

}  // namespace ferry::os
