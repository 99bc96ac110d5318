#include "os/unix_listener.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include "os/file_lock.hpp"
#include "os/socket.hpp"

namespace ferry::os {
namespace {

result<unique_fd> bind_to(const socket_address& at, const std::string& path, const options& with) {
  auto fd = open_stream_socket(AF_UNIX, with);
  if (!fd) return fd.error();
  if (::bind(fd->get(), at.get(), at.size) != 0) return error::from_errno(errno, "bind " + path);
  return std::move(*fd);
}

result<void> start_listening(int fd, const std::string& path, const options& with) {
  if (::listen(fd, static_cast<int>(with.backlog)) != 0) return error::from_errno(errno, "listen on " + path);
  return {};
}

// Whether somebody accepts connections at the path. The caller holds the path's lock.
result<bool> is_live(const socket_address& at, const options& with) {
  auto probe = open_stream_socket(AF_UNIX, with);
  if (!probe) return probe.error();
  if (::connect(probe->get(), at.get(), at.size) == 0) return true;
  if (errno == EAGAIN || errno == EINPROGRESS) return true;  // a full backlog belongs to a listener
  if (errno == ECONNREFUSED || errno == ENOENT) return false;
  return error::from_errno(errno, "look whether somebody listens on " + at.text());
}

result<void> clear_the_way(const socket_address& at, const std::string& path, const options& with) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) {
    if (errno == ENOENT) return {};
    return error::from_errno(errno, "look at " + path);
  }
  if (!S_ISSOCK(there.st_mode))
    return error(errc::bad_address, path + " is " + (S_ISDIR(there.st_mode) ? "a directory" : "not a socket") +
                                        "; it is left alone: choose another path or remove it yourself");
  const auto live = is_live(at, with);
  if (!live) return live.error();
  if (*live) return error(errc::address_in_use, "somebody listens on " + path + " already", EADDRINUSE);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return error::from_errno(errno, "remove the stale socket " + path);
  return {};
}

template <class Id, class Lookup>
result<Id> id_of(const std::string& name, const char* what, Lookup lookup) {
  Id id{};
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (failed == std::errc{} && end == name.data() + name.size()) return id;
  const auto found = lookup(name.c_str());
  if (!found) return error(errc::bad_option, std::string("socket_owner: no ") + what + " named '" + name + "'");
  return *found;
}

std::optional<uid_t> user_id(const char* name) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> scratch(16384);
  if (::getpwnam_r(name, &entry, scratch.data(), scratch.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return entry.pw_uid;
}

std::optional<gid_t> group_id(const char* name) {
  group entry{};
  group* found = nullptr;
  std::vector<char> scratch(16384);
  if (::getgrnam_r(name, &entry, scratch.data(), scratch.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return entry.gr_gid;
}

result<void> set_owner_and_mode(const std::string& path, const options& with) {
  if (!with.socket_owner.empty()) {
    const std::size_t colon = with.socket_owner.find(':');
    auto uid = static_cast<uid_t>(-1);
    auto gid = static_cast<gid_t>(-1);
    if (const std::string user = with.socket_owner.substr(0, colon); !user.empty()) {
      const auto id = id_of<uid_t>(user, "user", user_id);
      if (!id) return id.error();
      uid = *id;
    }
    if (colon != std::string::npos && colon + 1 < with.socket_owner.size()) {
      const auto id = id_of<gid_t>(with.socket_owner.substr(colon + 1), "group", group_id);
      if (!id) return id.error();
      gid = *id;
    }
    if (::lchown(path.c_str(), uid, gid) != 0)
      return error::from_errno(errno, "give " + path + " to " + with.socket_owner);
  }
  // Whoever owns the directory may have put a link there meanwhile, which is not followed.
  if (with.socket_mode != 0 && ::fchmodat(AT_FDCWD, path.c_str(), with.socket_mode, AT_SYMLINK_NOFOLLOW) != 0)
    return error::from_errno(errno, "set the mode of " + path);
  return {};
}

result<file_lock> take_lock(const std::string& path, unix_listener::lock_of whose) {
  const auto of_it = path + ".lock";
  return whose == unix_listener::lock_of::friends ? file_lock::acquire(of_it) : file_lock::try_acquire(of_it);
}

}  // namespace

result<unix_listener> unix_listener::open(const std::string& path, const options& with, lock_of lock_is_of) {
  const auto at = unix_address(path);
  if (!at) return at.error();
  if (path.starts_with('@')) {
    auto fd = bind_to(*at, path, with);
    if (!fd) return fd.error();
    if (const auto listening = start_listening(fd->get(), path, with); !listening) return listening.error();
    return unix_listener(std::move(*fd), {}, {}, lock_is_of);
  }
  const auto lock = take_lock(path, lock_is_of);
  if (!lock && lock.error() == errc::not_found)
    return error(errc::not_found, "the directory of " + path + " does not exist; make it first",
                 lock.error().system_errno());
  if (!lock) return lock.error();
  if (const auto clear = clear_the_way(*at, path, with); !clear) return clear.error();
  auto fd = bind_to(*at, path, with);
  if (!fd) return fd.error();
  // Nobody can connect before listen(): the mode is right from the first connection on.
  auto ready = set_owner_and_mode(path, with);
  if (ready) ready = start_listening(fd->get(), path, with);
  const auto made = id_at(path);
  if (ready && !made) ready = error::from_errno(errno, "look at " + path);
  if (!ready) {
    ::unlink(path.c_str());  // ours: made above, under the lock
    return ready.error();
  }
  return unix_listener(std::move(*fd), path, *made, lock_is_of);
}

unix_listener unix_listener::adopt(unique_fd listening, bool owns_file) {
  const auto bound = local_address(listening.get());
  const std::string path = owns_file && bound ? bound->text() : "";
  const auto there = path.empty() || path.starts_with('@') ? std::nullopt : id_at(path);
  if (!there) return unix_listener(std::move(listening), {}, {}, lock_of::friends);
  return unix_listener(std::move(listening), path, *there, lock_of::friends);
}

bool unix_listener::has_file() const noexcept { return path_.empty() || id_at(path_) == id_; }

void unix_listener::close() noexcept {
  if (!fd_) return;
  if (!path_.empty()) {
    try {
      const auto lock = take_lock(path_, lock_);
      const bool may_go = lock || lock_ == lock_of::friends;
      if (may_go && id_at(path_) == id_) ::unlink(path_.c_str());
    } catch (...) {  // no memory for the lock's name: a stale file stays, which the next listener replaces
    }
  }
  fd_.reset();
}

}  // namespace ferry::os
