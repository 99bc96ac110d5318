#include "os/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace ferry::os {

result<file_lock> file_lock::acquire(const std::string& path) {
  for (;;) {
    unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return error::from_errno(errno, "open the lock file " + path);
    while (::flock(fd.get(), LOCK_EX) != 0)
      if (errno != EINTR) return error::from_errno(errno, "lock " + path);
    // The holder before us may have removed the file: then ours is a lock on a file that nobody else can find.
    struct stat ours {};
    struct stat now {};
    if (::fstat(fd.get(), &ours) == 0 && ::stat(path.c_str(), &now) == 0 && ours.st_ino == now.st_ino &&
        ours.st_dev == now.st_dev)
      return file_lock(std::move(fd), path);
  }
}

file_lock::~file_lock() {
  if (fd_) ::unlink(path_.c_str());  // while the lock is held, so that no other holder loses its file
}

}  // namespace ferry::os
