#include "os/owner_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace ferry::os {
namespace {

struct flock range_of(unsigned byte) noexcept {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  return range;
}

}  // namespace

result<owner_lock> owner_lock::acquire(const std::string& path, unsigned byte) {
  unique_fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return error::from_errno(errno, "open " + path);
  auto range = range_of(byte);
  if (::fcntl(fd.get(), F_OFD_SETLK, &range) == 0) return owner_lock(std::move(fd));
  if (errno == EAGAIN || errno == EACCES) return error(errc::busy, path + " is in use by another process", errno);
  return error::from_errno(errno, "lock " + path);
}

bool owner_lock::held(int fd, unsigned byte) noexcept {
  auto range = range_of(byte);
  return ::fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

bool owner_lock::still_at(const std::string& path) const noexcept {
  struct stat ours {};
  struct stat there {};
  return ::fstat(fd_.get(), &ours) == 0 && ::lstat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
         ours.st_dev == there.st_dev;
}

}  // namespace ferry::os
