#include "os/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "os/file_id.hpp"

namespace ferry::os {

result<file_lock> file_lock::take(const std::string& path, int how) {
  for (;;) {
    unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return error::from_errno(errno, "open the lock file " + path);
    while (::flock(fd.get(), how) != 0) {
      if (errno == EWOULDBLOCK) return error(errc::busy, "somebody else holds the lock " + path, errno);
      if (errno != EINTR) return error::from_errno(errno, "lock " + path);
    }
    // The holder before us may have removed the file: then ours is a lock on a file that nobody else can find.
    if (is_at(fd.get(), path)) return file_lock(std::move(fd), path);
    if ((how & LOCK_NB) != 0) return error(errc::busy, "the lock " + path + " was replaced while it was taken");
  }
}

result<file_lock> file_lock::acquire(const std::string& path) { return take(path, LOCK_EX); }
result<file_lock> file_lock::try_acquire(const std::string& path) { return take(path, LOCK_EX | LOCK_NB); }

file_lock::~file_lock() {
  if (fd_) ::unlink(path_.c_str());  // while the lock is held, so that no other holder loses its file
}

}  // namespace ferry::os
