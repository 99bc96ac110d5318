#include "bench/sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>

#include <utility>

namespace ferry::bench {

namespace {

constexpr int k_send_buffer = 1 << 20;

result<socket_pair> unix_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return error::from_errno(errno, "socketpair");
  socket_pair pair{os::unique_fd(ends[0]), os::unique_fd(ends[1])};
  for (const int end : ends)  // a machine may grant less; twice the speed of the default where it grants it
    if (::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &k_send_buffer, sizeof k_send_buffer) != 0)
      return error::from_errno(errno, "SO_SNDBUF");
  return pair;
}

result<os::unique_fd> tcp_socket() {
  os::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return error::from_errno(errno, "socket");
  return fd;
}

result<void> no_delay(int fd) {
  const int on = 1;
  if (::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return error::from_errno(errno, "TCP_NODELAY");
  return {};
}

/// One after the other through one listener, so that what accept returns is the other end of what was connected last.
class tcp_maker {
 public:
  result<void> listen() {
    auto fd = tcp_socket();
    if (!fd) return fd.error();
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    if (::bind(fd->get(), generic(), size) != 0) return error::from_errno(errno, "bind to 127.0.0.1");
    if (::listen(fd->get(), 8) != 0) return error::from_errno(errno, "listen on 127.0.0.1");
    if (::getsockname(fd->get(), generic(), &size) != 0) return error::from_errno(errno, "getsockname");
    listener_ = std::move(*fd);
    return {};
  }

  result<socket_pair> connect() {
    auto fd = tcp_socket();
    if (!fd) return fd.error();
    if (::connect(fd->get(), generic(), sizeof address_) != 0) return error::from_errno(errno, "connect to 127.0.0.1");
    os::unique_fd accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted) return error::from_errno(errno, "accept");
    for (const int end : {fd->get(), accepted.get()})
      if (auto outcome = no_delay(end); !outcome) return outcome.error();
    return socket_pair{std::move(*fd), std::move(accepted)};
  }

 private:
  sockaddr* generic() noexcept { return reinterpret_cast<sockaddr*>(&address_); }

  os::unique_fd listener_;
  sockaddr_in address_{};
};

}  // namespace

const char* to_string(stream_kind kind) noexcept { return kind == stream_kind::tcp ? "tcp" : "unix"; }

result<core_pair> two_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return error::from_errno(errno, "sched_getaffinity");
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE && cores.size() < 2; ++core)
    if (CPU_ISSET(static_cast<unsigned>(core), &set)) cores.push_back(core);
  if (cores.size() < 2) return error(errc::unsupported, "this measurement needs 2 cores, this process may use 1");
  return core_pair{cores[0], cores[1]};
}

result<socket_pairs> connected_pairs(stream_kind kind, std::size_t count) {
  tcp_maker maker;
  if (kind == stream_kind::tcp)
    if (auto outcome = maker.listen(); !outcome) return outcome.error();

  socket_pairs pairs;
  for (std::size_t i = 0; i < count; ++i) {
    auto one = kind == stream_kind::tcp ? maker.connect() : unix_pair();
    if (!one) return one.error().in("connection " + std::to_string(i + 1) + " of " + std::to_string(count));
    pairs.first.push_back(std::move(one->first));
    pairs.second.push_back(std::move(one->second));
  }
  return pairs;
}

result<socket_pair> connected_pair(stream_kind kind) {
  auto pairs = connected_pairs(kind, 1);
  if (!pairs) return pairs.error();
  return socket_pair{std::move(pairs->first[0]), std::move(pairs->second[0])};
}

void set_nonblocking(child& me, int fd) noexcept {
  const int flags = me.check(::fcntl(fd, F_GETFL), "fcntl");
  me.check(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

result<void> in_range(const char* name, std::size_t value, std::size_t low, std::size_t high) {
  if (low <= value && value <= high) return {};
  return error(errc::misuse, std::string(name) + " is " + std::to_string(value) + ", allowed are " +
                                 std::to_string(low) + " to " + std::to_string(high));
}

}  // namespace ferry::bench
