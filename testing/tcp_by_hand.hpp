#pragma once
/// TCP sockets by hand, for peers that a test plays itself. Nothing blocks: what has to be waited for is asked for
/// again and again, while the test polls the other side.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "os/unique_fd.hpp"

namespace ferry::test {

class raw_tcp {
 public:
  /// Connects to a listener on 127.0.0.1.
  explicit raw_tcp(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in to = loopback(port);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fail("connect");
  }
  explicit raw_tcp(os::unique_fd fd) : fd_(std::move(fd)) {}

  void send(std::string_view all) {
    while (!all.empty()) {
      const ssize_t n = ::send(fd_.get(), all.data(), all.size(), MSG_NOSIGNAL);
      if (n < 0) fail("send");
      all.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  /// Sends what is taken at once. @return how many bytes, or -1 and errno
  ssize_t try_send(std::string_view some) {
    return ::send(fd_.get(), some.data(), some.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  /// Reads what has come. @return all that has come and was not taken
  const std::string& received() {
    char buffer[65536];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) text_.append(buffer, static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN)) ended_ = true;
      if (n <= 0) return text_;
    }
  }
  [[nodiscard]] std::string take(std::size_t size) {
    std::string taken = text_.substr(0, size);
    text_.erase(0, size);
    return taken;
  }
  /// The peer has closed it, or reset it.
  [[nodiscard]] bool ended() {
    (void)received();
    return ended_;
  }
  /// Of this end.
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) fail("getsockname");
    return ntohs(at.sin_port);
  }
  void close() { fd_.reset(); }
  /// The peer finds that the connection was reset.
  void reset() {
    const linger at_once{1, 0};
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0) fail("SO_LINGER");
    close();
  }

  [[nodiscard]] static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made;
  }
  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

 private:
  os::unique_fd fd_;
  std::string text_;
  bool ended_ = false;
};

/// TCP_NODELAY of the socket of this process that is connected to `port` of 127.0.0.1; nothing if there is none.
[[nodiscard]] inline std::optional<bool> no_delay_towards(std::uint16_t port) {
  constexpr int k_most = 1024;
  for (int fd = 0; fd < k_most; ++fd) {
    sockaddr_in to{};
    socklen_t size = sizeof to;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&to), &size) != 0) continue;
    if (to.sin_family != AF_INET || ntohs(to.sin_port) != port) continue;
    int on = -1;
    socklen_t on_size = sizeof on;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &on_size) != 0) raw_tcp::fail("TCP_NODELAY");
    return on != 0;
  }
  return std::nullopt;
}

class raw_tcp_listener {
 public:
  raw_tcp_listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in at = raw_tcp::loopback(0);
    socklen_t size = sizeof at;
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), size) != 0 || ::listen(fd_.get(), 16) != 0)
      raw_tcp::fail("listen");
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) raw_tcp::fail("getsockname");
    port_ = ntohs(at.sin_port);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// A socket that does not block, or none if nobody has come.
  [[nodiscard]] os::unique_fd try_accept() {
    return os::unique_fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }
  /// Waits for somebody.
  [[nodiscard]] raw_tcp accept() { return raw_tcp(accept_fd(0)); }
  /// The same, as a socket that does not block.
  [[nodiscard]] os::unique_fd accept_fd() { return accept_fd(SOCK_NONBLOCK); }

 private:
  [[nodiscard]] os::unique_fd accept_fd(int flags) {
    pollfd ready{fd_.get(), POLLIN, 0};
    ::poll(&ready, 1, 60'000);
    os::unique_fd made(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | flags));
    if (!made) raw_tcp::fail("accept");
    return made;
  }

  os::unique_fd fd_;
  std::uint16_t port_ = 0;
};

}  // namespace ferry::test
