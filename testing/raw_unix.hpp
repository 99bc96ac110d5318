#pragma once
/// Unix stream sockets used bare, as a peer that is none of ours would: for tests that look at bytes on the wire.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace ferry::test {

/// One socket, blocking; closes itself. What fails throws std::system_error; a wait that takes a minute throws too.
class raw_unix {
 public:
  raw_unix() = default;
  raw_unix(raw_unix&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  raw_unix& operator=(raw_unix&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~raw_unix() { close(); }

  [[nodiscard]] static raw_unix connect(const std::string& path) {
    raw_unix made = open();
    const auto at = address(path);
    if (::connect(made.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fail("connect");
    return made;
  }
  [[nodiscard]] static raw_unix listen(const std::string& path) {
    raw_unix made = open();
    const auto at = address(path);
    if (::bind(made.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fail("bind");
    if (::listen(made.fd_, 16) != 0) fail("listen");
    return made;
  }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void end_writing() {
    if (::shutdown(fd_, SHUT_WR) != 0) fail("shutdown");
  }

  /// Somebody waits to be accepted, or something to be read, or the peer has ended. Does not wait.
  [[nodiscard]] bool ready() const {
    pollfd one{fd_, POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
  }
  [[nodiscard]] raw_unix accept() const {
    wait_for(POLLIN);
    raw_unix made;
    made.fd_ = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (made.fd_ < 0) fail("accept");
    return made;
  }

  /// Writes all of it. @return 0, or the errno
  int send(std::string_view all) const {
    while (!all.empty()) {
      wait_for(POLLOUT);
      const ssize_t n = ::send(fd_, all.data(), all.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) continue;
      if (n < 0) return errno;
      all.remove_prefix(static_cast<std::size_t>(n));
    }
    return 0;
  }
  /// What can be read now, at most `limit` bytes; empty: nothing, or the end.
  [[nodiscard]] std::string read_some(std::size_t limit = 65536) const {
    std::string got(limit, '\0');
    const ssize_t n = ::recv(fd_, got.data(), got.size(), MSG_DONTWAIT);
    got.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return got;
  }
  /// Everything up to the peer's end.
  [[nodiscard]] std::string read_to_end() const {
    std::string all;
    for (;;) {
      wait_for(POLLIN);
      std::string part(65536, '\0');
      const ssize_t n = ::recv(fd_, part.data(), part.size(), 0);
      if (n <= 0) return all;
      all.append(part, 0, static_cast<std::size_t>(n));
    }
  }
  /// The peer has ended, and all it said was read. Does not wait.
  [[nodiscard]] bool ended() const {
    char one = 0;
    const ssize_t n = ::recv(fd_, &one, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  [[nodiscard]] std::size_t unread() const {
    int waiting = 0;
    return ::ioctl(fd_, FIONREAD, &waiting) == 0 ? static_cast<std::size_t>(waiting) : 0;
  }

 private:
  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }
  static raw_unix open() {
    raw_unix made;
    made.fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made.fd_ < 0) fail("socket");
    return made;
  }
  static sockaddr_un address(const std::string& path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    if (path.size() >= sizeof at.sun_path) throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
    std::memcpy(at.sun_path, path.data(), path.size());
    return at;
  }
  void wait_for(short what) const {
    pollfd one{fd_, what, 0};
    int ready = 0;
    do ready = ::poll(&one, 1, 60'000);
    while (ready < 0 && errno == EINTR);
    if (ready == 0) throw std::system_error(ETIMEDOUT, std::generic_category(), "a minute on a socket");
  }

  int fd_ = -1;
};

/// A message as it lies on the wire: its length as a varint, then itself.
[[nodiscard]] inline std::string varint_frame(std::string_view message) {
  std::string frame;
  std::size_t rest = message.size();
  for (; rest >= 0x80; rest >>= 7) frame.push_back(static_cast<char>(rest | 0x80));
  frame.push_back(static_cast<char>(rest));
  return frame.append(message);
}

}  // namespace ferry::test
