#pragma once
/// Connected stream sockets for the measurements, and what reads and writes them with bare system calls.

#include <ferry/error.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/child.hpp"
#include "bench/limits.hpp"
#include "os/unique_fd.hpp"

namespace ferry::bench {

struct socket_pair {
  os::unique_fd first;
  os::unique_fd second;
};

/// Both ends blocking, close-on-exec; tcp over 127.0.0.1 with TCP_NODELAY.
[[nodiscard]] result<socket_pair> connected_pair(stream_kind kind);

/// `count` pairs, as two lists of ends. @return errc::busy when there are not enough descriptors.
struct socket_pairs {
  std::vector<os::unique_fd> first;
  std::vector<os::unique_fd> second;
};
[[nodiscard]] result<socket_pairs> connected_pairs(stream_kind kind, std::size_t count);

/// Blocking; all of it, or the child fails.
inline void write_all(child& me, int fd, const std::byte* from, std::size_t size) noexcept {
  while (size != 0) {
    const auto n = ::write(fd, from, size);
    if (n < 0 && errno == EINTR) continue;
    me.check(n, "write");
    from += n;
    size -= static_cast<std::size_t>(n);
  }
}

/// Blocking; 0 at the end of the stream.
inline std::size_t read_some(child& me, int fd, std::byte* into, std::size_t room) noexcept {
  for (;;) {
    const auto n = ::read(fd, into, room);
    if (n < 0 && errno == EINTR) continue;
    return static_cast<std::size_t>(me.check(n, "read"));
  }
}

/// Non-blocking from now on.
void set_nonblocking(child& me, int fd) noexcept;

/// "unix echo server", as errors name a child.
[[nodiscard]] inline std::string role(stream_kind kind, const char* what) {
  return std::string(to_string(kind)) + " " + what;
}

/// errc::misuse unless low <= value <= high.
[[nodiscard]] result<void> in_range(const char* name, std::size_t value, std::size_t low, std::size_t high);

}  // namespace ferry::bench
