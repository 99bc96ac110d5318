#include "os/tcpshm_files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace ferry::os::tcpshm {
namespace {

constexpr std::size_t k_longest_name = 64;  // with its zero

constexpr unsigned k_maker_byte = 2;  // of owner_lock
constexpr int k_attempts = 16;        // at a file that others make or remove meanwhile

result<unique_fd> open_regular(const std::string& path, int flags) {
  unique_fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is not a file");
  return fd;
}

// Not over one that the original, which locks nothing, has made meanwhile, where the file system can tell.
result<void> rename_unless_there(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0 || errno == EEXIST) return {};
  if (errno == EINVAL && ::rename(from.c_str(), to.c_str()) == 0) return {};
  return error::from_errno(errno, "rename " + from);
}

// Under another name until it is whole: a death amid that leaves nothing under this one, and whoever makes it next goes
// on. @return nothing: it is there, or whoever looks again finds out
result<void> make_whole(const std::string& path, std::size_t size) {
  const std::string beside = path + ".new";
  if (const auto made = open_regular(beside, O_CREAT); !made) return made.error();
  const auto lock = owner_lock::acquire(beside, k_maker_byte);
  if (!lock && lock.error() == errc::not_found) return {};
  if (!lock) return lock.error();
  // Without the lock nobody renames it.
  if (!lock->still_at(beside)) return {};
  const auto fd = open_file(beside, true);
  if (!fd) return fd.error();
  if (::ftruncate(fd->get(), 0) != 0) return error::from_errno(errno, "empty " + beside);
  auto done = allocate_file(fd->get(), size, path);
  if (done) done = rename_unless_there(beside, path);
  if (lock->still_at(beside)) ::unlink(beside.c_str());
  return done;
}

result<std::vector<std::byte>> read_some(int fd, std::size_t size, const std::string& path) {
  std::vector<std::byte> into(size);
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(fd, into.data() + got, size - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "read " + path);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  into.resize(got);
  return into;
}

result<void> write_all(int fd, bytes what, const std::string& path) {
  while (!what.empty()) {
    const ssize_t n = ::write(fd, what.data(), what.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "write " + path);
    what = what.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

result<void> check_size(int fd, std::size_t size, std::size_t slack, const std::string& path) {
  const auto there = file_size(fd, path);
  if (!there) return there.error();
  if (*there > size + slack)
    return error(errc::corrupt, path + " has " + std::to_string(*there) + " bytes, not " + std::to_string(size) +
                                    ": was it made with another queue size?");
  if (*there >= size) return {};
  // Zeros may be all that a queue had before its last bytes, which say what was consumed.
  return error(errc::truncated, path + " has " + std::to_string(*there) + " bytes, not " + std::to_string(size) +
                                    ": it was cut off, or made with another queue size");
}

struct locked_file {
  unique_fd fd;
  owner_lock lock;
};
// The one that has this path, and not one that was removed since it was opened.
result<locked_file> lock_or_make(const std::string& path, std::size_t size, unsigned lock_byte) {
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    auto lock = owner_lock::acquire(path, lock_byte);
    if (!lock && lock.error() == errc::not_found) {
      if (const auto made = make_whole(path, size); !made) return made.error();
      continue;
    }
    if (!lock) return lock.error();
    if (!lock->still_at(path)) continue;
    auto fd = open_regular(path, 0);
    if (!fd) return fd.error();
    return locked_file{std::move(*fd), std::move(*lock)};
  }
  return error(errc::busy, path + " is made and removed again and again");
}

std::string last_server_path(const std::string& directory, const std::string& client) {
  return directory + "/" + client + ".lastserver";
}

// Its first `most` bytes; nothing: there is no such file.
result<std::optional<std::string>> read_last_server(const std::string& path, std::size_t most) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::optional<std::string>();
  if (!fd) return error::from_errno(errno, "open " + path);
  const auto content = read_some(fd.get(), most, path);
  if (!content) return content.error();
  return std::optional(std::string(as_text(*content)));
}

// PEER of each FROM_PEER in a directory with this ending.
void add_peers(std::vector<std::string>& to, const std::string& directory, const std::string& from,
               std::string_view ending) {
  const std::string beginning = from + "_";
  std::error_code failed;
  for (std::filesystem::directory_iterator at(directory, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string file = at->path().filename().string();
    if (file.size() > beginning.size() + ending.size() && file.starts_with(beginning) && file.ends_with(ending))
      to.push_back(file.substr(beginning.size(), file.size() - beginning.size() - ending.size()));
  }
}

// With whom a client has a queue or a ring. There may be others among them: names may have a '_'.
std::vector<std::string> peers_of(const std::string& directory, const std::string& client) {
  std::vector<std::string> all;
  add_peers(all, directory, client, ".ptcp");
  add_peers(all, "/dev/shm", client, ".shm");
  return all;
}

bool differ_in_one_byte(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differing += a[i] != b[i] ? 1 : 0;
  return differing == 1;
}

error damaged_name(const std::string& path, const std::string& peer, const std::string& what) {
  return {errc::corrupt, path + " " + what + ", but there are messages for '" + peer +
                             "': is it damaged? Write the right name into it, or remove it, and both sides begin anew"};
}

}  // namespace

result<held_file> held_file::open(const std::string& path, std::size_t size, std::size_t slack, unsigned lock_byte) {
  auto file = lock_or_make(path, size, lock_byte);
  if (!file) return file.error();
  if (const auto sized = check_size(file->fd.get(), size, slack, path); !sized) return sized.error();
  auto map = mapping::of(file->fd.get(), size, true);
  if (!map) return map.error();
  held_file made(std::move(file->lock), std::move(*map));
  try {
    made.guard_ = std::make_unique<bus_guard>(made.memory());
  } catch (const std::length_error& why) {
    return error(errc::busy, path + " cannot be guarded: " + why.what());
  }
  return made;
}

result<void> held_file::sync(const std::string& path) const {
  const auto all = map_.span();
  if (::msync(all.data(), all.size(), MS_SYNC) == 0) return {};
  return error::from_errno(errno, "bring " + path + " to the disk");
}

result<void> require_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return error::from_errno(errno, "make the directory " + path);
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISDIR(about.st_mode)) return error(errc::bad_address, path + " is not a directory", ENOTDIR);
  return {};
}

std::string queue_path(const std::string& directory, const std::string& from, const std::string& to) {
  return directory + "/" + from + "_" + to + ".ptcp";
}

std::string note_path(const std::string& queue) { return queue + ".mismatch"; }

std::string ring_path(const std::string& from, const std::string& to) { return "/dev/shm/" + from + "_" + to + ".shm"; }

result<std::string> load_last_server(const std::string& directory, const std::string& client, std::size_t name_size) {
  const std::string path = last_server_path(directory, client);
  const auto content = read_last_server(path, name_size + 1);
  if (!content) return content.error();
  if (!*content) return std::string();
  const std::string& all = **content;
  if (all.empty()) {
    // The original leaves it so if it dies before its first login.
    const auto peers = peers_of(directory, client);
    return peers.empty() ? result<std::string>(std::string()) : damaged_name(path, peers.front(), "is empty");
  }
  const auto end = all.find('\0');
  if (all.size() != name_size || end == all.npos || (end == 0 && all.find_first_not_of('\0') != all.npos))
    return error(errc::corrupt, path + " does not hold a name of " + std::to_string(name_size) + " bytes");
  std::string name = all.substr(0, end);
  const auto exists = [](const std::string& file) { return ::access(file.c_str(), F_OK) == 0; };
  if (name.empty() || exists(queue_path(directory, client, name)) || exists(ring_path(client, name))) return name;
  // A name has no checksum: what there is of the peers must do.
  for (const auto& peer : peers_of(directory, client))
    if (differ_in_one_byte(peer, name)) return damaged_name(path, peer, "says '" + name + "'");
  return name;
}

result<std::string> peek_last_server(const std::string& directory, const std::string& client) {
  const auto content = read_last_server(last_server_path(directory, client), k_longest_name);
  if (!content) return content.error();
  const std::string all = content->value_or("");
  return all.substr(0, all.find('\0'));
}

result<void> remove_last_server(const std::string& directory, const std::string& client) {
  const std::string path = last_server_path(directory, client);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return error::from_errno(errno, "remove " + path);
}

result<void> save_last_server(const std::string& directory, const std::string& client, const std::string& server,
                              std::size_t name_size) {
  const std::string path = last_server_path(directory, client);
  const std::string beside = path + ".new";
  std::string content = server;
  content.resize(name_size);
  const unique_fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return error::from_errno(errno, "make " + beside);
  auto saved = write_all(fd.get(), as_bytes(content), beside);
  if (saved && ::rename(beside.c_str(), path.c_str()) != 0) saved = error::from_errno(errno, "rename " + beside);
  if (!saved) ::unlink(beside.c_str());
  return saved;
}

}  // namespace ferry::os::tcpshm
