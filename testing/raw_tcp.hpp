#pragma once
/// TCP sockets on loopback used bare, as a peer that is none of ours would.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace ferry::test {

/// A free port of 127.0.0.1 that stays ours as long as this lives, while others may listen on it, one after the other
/// (with SO_REUSEADDR). Throws std::system_error if there is none.
class reserved_port {
 public:
  reserved_port() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      throw std::system_error(errno, std::generic_category(), "a port");
    number_ = ntohs(at.sin_port);
  }
  ~reserved_port() { ::close(fd_); }
  reserved_port(const reserved_port&) = delete;
  reserved_port& operator=(const reserved_port&) = delete;
  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

 private:
  int fd_ = -1;
  std::uint16_t number_ = 0;
};

}  // namespace ferry::test
