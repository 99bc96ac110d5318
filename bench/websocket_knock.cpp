#include "bench/websocket_knock.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string_view>

#include "bench/sockets.hpp"

namespace ferry::bench {
namespace {

// The key of RFC 6455, section 1.3, and what answers it.
constexpr const char* k_key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view k_accepted = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::size_t k_largest_answer = 4096;

struct list_freer {
  void operator()(addrinfo* one) const { ::freeaddrinfo(one); }
};

}  // namespace

os::unique_fd connect_tcp(child& me, const std::string& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found); code != 0)
    me.fail(errc::network, (host + ": " + ::gai_strerror(code)).c_str());
  const std::unique_ptr<addrinfo, list_freer> all(found);
  os::unique_fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  me.check(fd.get(), "socket");
  me.check(::connect(fd.get(), found->ai_addr, found->ai_addrlen), "connect");
  const int on = 1;
  me.check(::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
  return fd;
}

void knock(child& me, int fd, const std::string& authority, const std::string& target) {
  const auto request = "GET " + target + " HTTP/1.1\r\nHost: " + authority +
                       "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
                       "Sec-WebSocket-Key: " + k_key + "\r\n\r\n";
  write_all(me, fd, reinterpret_cast<const std::byte*>(request.data()), request.size());
  std::string answer;
  while (!answer.ends_with("\r\n\r\n")) {  // nothing follows it, for nothing was said
    std::array<std::byte, 1024> room;
    const auto n = read_some(me, fd, room.data(), room.size());
    answer.append(reinterpret_cast<const char*>(room.data()), n);
    if (n == 0 || answer.size() > k_largest_answer) break;
  }
  if (answer.starts_with("HTTP/1.1 101 ") && answer.find(k_accepted) != std::string::npos) return;
  const auto line = answer.substr(0, answer.find('\r'));
  me.fail(errc::protocol, ("no WebSocket was granted: " + (line.empty() ? "no answer" : line)).c_str());
}

}  // namespace ferry::bench
