#include "compat/tcpshm_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace ferry::compat::tcpshm {
namespace {

result<os::unique_fd> open_or_make(const std::string& path) {
  os::unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is not a file");
  return fd;
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

result<void> bring_to_size(int fd, std::size_t size, std::size_t slack, const std::string& path) {
  const auto there = os::file_size(fd, path);
  if (!there) return there.error();
  if (*there > size + slack)
    return error(errc::corrupt, path + " has " + std::to_string(*there) + " bytes, not " + std::to_string(size) +
                                    ": was it made with another queue size?");
  if (*there >= size) return {};
  const auto begun = read_some(fd, *there, path);
  if (!begun) return begun.error();
  if (std::any_of(begun->begin(), begun->end(), [](std::byte one) { return one != std::byte{0}; }))
    return error(errc::truncated, path + " has " + std::to_string(*there) + " bytes, not " + std::to_string(size) +
                                      ": it was cut off, or made with another queue size");
  return os::allocate_file(fd, size, path);
}

}  // namespace

result<held_file> held_file::open(const std::string& path, std::size_t size, std::size_t slack, unsigned lock_byte) {
  auto fd = open_or_make(path);
  if (!fd) return fd.error();
  auto lock = os::owner_lock::acquire(path, lock_byte);
  if (!lock) return lock.error();
  if (const auto sized = bring_to_size(fd->get(), size, slack, path); !sized) return sized.error();
  auto map = os::mapping::of(fd->get(), size, true);
  if (!map) return map.error();
  held_file made(std::move(*lock), std::move(*map));
  try {
    made.guard_ = std::make_unique<os::bus_guard>(made.memory());
  } catch (const std::length_error& why) {
    return error(errc::busy, path + " cannot be guarded: " + why.what());
  }
  return made;
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

std::string ring_path(const std::string& from, const std::string& to) { return "/dev/shm/" + from + "_" + to + ".shm"; }

result<std::string> load_last_server(const std::string& directory, const std::string& client, std::size_t name_size) {
  const std::string path = directory + "/" + client + ".lastserver";
  const os::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::string();
  if (!fd) return error::from_errno(errno, "open " + path);
  const auto content = read_some(fd.get(), name_size + 1, path);
  if (!content) return content.error();
  if (content->empty()) return std::string();
  const std::string_view field = as_text(*content);
  const auto end = field.find('\0');
  if (field.size() != name_size || end == std::string_view::npos)
    return error(errc::corrupt, path + " does not hold a name of " + std::to_string(name_size) + " bytes");
  return std::string(field.substr(0, end));
}

result<void> save_last_server(const std::string& directory, const std::string& client, const std::string& server,
                              std::size_t name_size) {
  const std::string path = directory + "/" + client + ".lastserver";
  const std::string beside = path + ".new";
  std::string content = server;
  content.resize(name_size);
  const os::unique_fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return error::from_errno(errno, "make " + beside);
  if (const auto written = write_all(fd.get(), as_bytes(content), beside); !written) return written.error();
  if (::rename(beside.c_str(), path.c_str()) != 0) return error::from_errno(errno, "rename " + beside);
  return {};
}

}  // namespace ferry::compat::tcpshm
