#include "os/pipe_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "os/file_id.hpp"
#include "os/mapping.hpp"

namespace ferry::os {
namespace {

/// 0, or the errno.
int lock(int fd, int how) noexcept {
  while (::flock(fd, how | LOCK_NB) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

result<std::string> content(int fd, std::size_t most, const std::string& path) {
  std::string made(most, '\0');
  const auto got = ::pread(fd, made.data(), made.size(), 0);
  if (got < 0) return error::from_errno(errno, "read " + path);
  made.resize(static_cast<std::size_t>(got));
  return made;
}

}  // namespace

result<pipe_lock> pipe_lock::try_acquire(const std::string& path) {
  unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) return error::from_errno(errno, "open the lock file " + path);
  struct stat what {};
  if (::fstat(fd.get(), &what) != 0 || !S_ISREG(what.st_mode))
    return error(errc::bad_address, "the lock file " + path + " is no plain file");
  const int failed = lock(fd.get(), LOCK_EX);
  if (failed == EWOULDBLOCK) return error(errc::busy, "the pipe of " + path + " is in use by another process", failed);
  if (failed != 0) return error::from_errno(failed, "lock " + path);
  if (!is_at(fd.get(), path)) return error(errc::busy, "the lock file " + path + " was replaced while it was locked");
  return pipe_lock(std::move(fd), path);
}

result<bool> pipe_lock::held(const std::string& path) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return false;
  if (!fd) return error::from_errno(errno, "open the lock file " + path);
  const int failed = lock(fd.get(), LOCK_SH);
  if (failed == 0 || failed == EWOULDBLOCK) return failed != 0;
  return error::from_errno(failed, "ask for the lock of " + path);
}

bool pipe_lock::still_there() const noexcept { return is_at(fd_.get(), path_); }

result<std::string> pipe_lock::read(std::size_t most) const { return content(fd_.get(), most, path_); }

result<std::string> pipe_lock::content_of(const std::string& path, std::size_t most) {
  const auto file = open_file(path, false);
  return file ? content(file->get(), most, path) : file.error();
}

result<void> pipe_lock::write(std::string_view content) const {
  if (!still_there()) return error(errc::closed, "the lock file " + path_ + " was replaced or removed");
  // Written over before it is cut: whoever reads meanwhile finds the old one or the new one, or some of both.
  const auto written = ::pwrite(fd_.get(), content.data(), content.size(), 0);
  if (written < 0) return error::from_errno(errno, "write " + path_);
  if (static_cast<std::size_t>(written) != content.size())
    return error(errc::no_memory, "write " + path_ + ": " + std::to_string(written) + " of " +
                                      std::to_string(content.size()) + " bytes, the disk is full");
  if (::ftruncate(fd_.get(), static_cast<::off_t>(content.size())) != 0)
    return error::from_errno(errno, "cut " + path_);
  return {};
}

// proc_locks(5): "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF"
std::int64_t pipe_lock::holder(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return 0;
  std::ifstream all("/proc/locks");
  std::string line;
  while (std::getline(all, line)) {
    long long pid = 0;
    unsigned major_of = 0, minor_of = 0;
    unsigned long long inode = 0;
    if (std::sscanf(line.c_str(), "%*d: FLOCK ADVISORY WRITE %lld %x:%x:%llu", &pid, &major_of, &minor_of, &inode) ==
            4 &&
        inode == about.st_ino && major(about.st_dev) == major_of && minor(about.st_dev) == minor_of && pid > 0)
      return pid;
  }
  return 0;
}

}  // namespace ferry::os
