#include "apps/ferry/pid_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ferry::app {
namespace {

// Whether the path still leads to the file that is locked: its last holder may have removed it meanwhile.
bool is_there(int fd, const std::string& path) {
  struct stat locked {
  }, found{};
  return ::fstat(fd, &locked) == 0 && ::stat(path.c_str(), &found) == 0 && locked.st_ino == found.st_ino &&
         locked.st_dev == found.st_dev;
}

std::string number_in(int fd) {
  char text[16] = {};
  const auto size = ::pread(fd, text, sizeof text - 1, 0);
  std::string who(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  while (who.ends_with('\n')) who.pop_back();
  return who;
}

}  // namespace

result<pid_file> pid_file::take(const std::string& path) {
  for (;;) {
    os::unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return error::from_errno(errno, "open " + path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return error::from_errno(errno, "lock " + path);
      return error(errc::busy,
                   path + ": process " + number_in(fd.get()) + " has it; one at a time may run with this name");
    }
    if (!is_there(fd.get(), path)) continue;
    pid_file made(std::move(fd), path);
    if (const auto written = made.claim(); !written) {
      ::unlink(path.c_str());  // nobody's number is in it
      return written.error();
    }
    return made;
  }
}

result<pid_file> pid_file::adopt(os::unique_fd locked, const std::string& path) {
  if (!is_there(locked.get(), path))
    return error(errc::misuse, path + ": the process whose place is taken has another pid file");
  return pid_file(std::move(locked), path);
}

result<void> pid_file::claim() {
  if (!is_there(fd_.get(), path_)) {  // who had it before has removed it
    auto again = take(path_);
    if (again) fd_ = std::move(again->fd_);
    if (!again) return again.error();
  }
  const auto text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd_.get(), 0) != 0 ||
      ::pwrite(fd_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return error::from_errno(errno, "write " + path_);
  return {};
}

std::string pid_file::holder() const { return number_in(fd_.get()); }

// Another process may have the lock by now, even where this one does not know: then the number is that one's.
pid_file::~pid_file() {
  if (fd_ && is_there(fd_.get(), path_) && holder() == std::to_string(::getpid())) ::unlink(path_.c_str());
}

}  // namespace ferry::app
