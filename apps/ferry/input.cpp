#include "apps/ferry/input.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ferry::app {
namespace asio = boost::asio;

os::unique_fd reopen_nonblocking(int fd, int access) noexcept {
  struct stat about {};
  if (::fstat(fd, &about) != 0 || !(S_ISFIFO(about.st_mode) || ::isatty(fd) == 1)) return os::unique_fd(-1);
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return os::unique_fd(::open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

result<std::unique_ptr<input>> input::open(asio::io_context& io, const std::string& path) {
  const bool standard = path == "-";
  os::unique_fd opened;
  if (!standard) {
    opened = os::unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!opened) return error::from_errno(errno, "open " + path);
  }
  std::unique_ptr<input> made(new input(io, standard ? "standard input" : path));
  const int fd = standard ? STDIN_FILENO : opened.get();
  if (auto prepared = made->prepare(fd); !prepared) return prepared.error();
  return made;
}

input::~input() = default;

result<void> input::prepare(int fd) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return error::from_errno(errno, "look at " + name_);
  if (S_ISDIR(about.st_mode)) return error(errc::bad_address, name_ + " is a directory; name a file");
  if (S_ISREG(about.st_mode)) {
    const auto at = ::lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && at <= about.st_size) size_ = static_cast<std::uint64_t>(about.st_size - at);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  auto fresh = reopen_nonblocking(fd, O_RDONLY);
  boost::system::error_code refused;
  if (fresh) {
    waiter_.assign(fresh.get(), refused);
    if (!refused) static_cast<void>(fresh.release());
    if (!refused) return {};
  }
  own_ = os::unique_fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!own_) return error::from_errno(errno, "duplicate the descriptor of " + name_);
  if (!S_ISSOCK(about.st_mode)) return {};
  // A socket belongs to whoever started us, as a rule to us alone: there the flag does no harm.
  waiter_.assign(own_.get(), refused);
  if (refused) return error::from_errno(refused.value(), "watch " + name_);
  static_cast<void>(own_.release());
  waiter_.non_blocking(true, refused);
  return {};
}

result<std::size_t> input::try_read(mutable_bytes into) noexcept {
  const int fd = waiter_.is_open() ? waiter_.native_handle() : own_.get();
  for (;;) {
    const auto n = ::read(fd, into.data(), into.size());
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0) return errc::end_of_stream;
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return errc::would_block;
    return error::from_errno(errno, "read " + name_);
  }
}

void input::async_wait(std::function<void()> ready) {
  waiter_.async_wait(
      asio::posix::stream_descriptor::wait_read,
      [alive = std::weak_ptr<void>(alive_), ready = std::move(ready)](const boost::system::error_code& e) {
        if (!e && !alive.expired()) ready();
      });
}

}  // namespace ferry::app
