#include "os/wake_pipe.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace ferry::os {

result<wake_pipe> wake_pipe::open(const std::string& path) {
  // For both directions: then there is always a reader and a writer, and neither end ever sees an end.
  unique_fd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return error::from_errno(errno, "open the pipe " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISFIFO(about.st_mode)) return error(errc::bad_address, path + " is no pipe");
  return wake_pipe(std::move(fd));
}

result<wake_pipe> wake_pipe::make(const std::string& path, const file_users& who) {
  const auto owner = who.owner;
  const bool is_new = ::mkfifo(path.c_str(), 0600) == 0;
  if (!is_new && errno != EEXIST) return error::from_errno(errno, "make the pipe " + path);
  auto made = open(path);
  if (!made) return made;
  struct stat about {};
  if (::fstat(made->fd(), &about) != 0) return error::from_errno(errno, "look at " + path);
  const bool is_given = about.st_uid == owner;
  if (!is_given && !is_new && about.st_uid != 0)
    return error(errc::auth, path + " belongs to user " + std::to_string(about.st_uid) + ", not to " +
                                 std::to_string(owner) + ": remove it, or say who owns it");
  if (!is_given && ::fchown(made->fd(), owner, static_cast<gid_t>(-1)) != 0)
    return error::from_errno(errno, "give " + path + " to user " + std::to_string(owner));
  if (const auto shared = let_in(made->fd(), who, path); !shared) return shared.error();
  return made;
}

void wake_pipe::ring() const noexcept {
  const std::byte one{};
  while (::write(fd_.get(), &one, 1) < 0 && errno == EINTR) {
  }
}

void wake_pipe::take() const noexcept {
  std::array<std::byte, 4096> unused;  // NOLINT: only that it is read matters
  while (::read(fd_.get(), unused.data(), unused.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace ferry::os
