#include "os/socket.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>

namespace ferry::os {
namespace {

std::string unix_text(const sockaddr_un& address, socklen_t size) {
  const std::size_t offset = offsetof(sockaddr_un, sun_path);
  if (size <= offset) return {};
  const std::size_t length = size - offset;
  if (address.sun_path[0] == '\0') return "@" + std::string(address.sun_path + 1, length - 1);
  return {address.sun_path, strnlen(address.sun_path, length)};
}

std::string inet_text(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  std::string host = text.data();
  std::array<char, IF_NAMESIZE> zone{};
  if (v6.sin6_scope_id != 0 && if_indextoname(v6.sin6_scope_id, zone.data()) != nullptr)
    host += std::string("%") + zone.data();
  return "[" + host + "]:" + std::to_string(ntohs(v6.sin6_port));
}

void set_int(int fd, int level, int name, int value) noexcept { ::setsockopt(fd, level, name, &value, sizeof value); }

// What a Unix socket may hold decides how often the two sides wake each other: with the kernel's 208 KiB a stream of
// messages goes at half the speed. TCP tunes its own buffers, unless told.
void set_send_buffer(int fd, int family, const options& with) noexcept {
  constexpr std::size_t k_unix_send_buffer = 1u << 20;
  const std::size_t size =
      with.socket_send_buffer == 0 && family == AF_UNIX ? k_unix_send_buffer : with.socket_send_buffer;
  if (size != 0) set_int(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>(size));
}

int seconds_of(options::duration d) noexcept {
  return static_cast<int>(std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(d).count()));
}

}  // namespace

error error_of(int system_errno) noexcept {
  if (system_errno == EAGAIN || system_errno == EWOULDBLOCK) return errc::would_block;
  try {
    return error::from_errno(system_errno, "connection broken");
  } catch (...) {
    return errc::network;
  }
}

std::string socket_address::host() const {
  if (family() == AF_UNIX) return {};
  const std::string all = inet_text(storage);
  const std::string host = all.substr(0, all.rfind(':'));
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

std::string socket_address::text() const {
  if (family() == AF_UNIX) return unix_text(reinterpret_cast<const sockaddr_un&>(storage), size);
  return inet_text(storage);
}

result<socket_address> unix_address(std::string_view path) {
  socket_address made;
  auto& address = reinterpret_cast<sockaddr_un&>(made.storage);
  address.sun_family = AF_UNIX;
  const bool abstract = path.starts_with('@');
  const std::size_t limit = sizeof address.sun_path - 1;
  if (path.empty() || (abstract && path.size() == 1))
    return error(errc::bad_address, "a Unix socket needs a path or @name");
  if (path.size() > limit)
    return error(errc::bad_address, "socket path of " + std::to_string(path.size()) + " bytes is longer than the " +
                                        std::to_string(limit) + " that Linux allows: " + std::string(path));
  if (path.find('\0') != std::string_view::npos) return error(errc::bad_address, "socket path contains a zero byte");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (abstract) address.sun_path[0] = '\0';
  made.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return made;
}

bool is_literal(const std::string& host) {
  if (host.empty() || host == "*") return true;
  std::array<unsigned char, sizeof(in6_addr)> scratch{};
  const std::string address = host.substr(0, host.find('%'));
  return inet_pton(AF_INET, address.c_str(), scratch.data()) == 1 ||
         inet_pton(AF_INET6, address.c_str(), scratch.data()) == 1;
}

result<std::vector<socket_address>> resolve(const std::string& host, std::uint16_t port, bool passive) {
  const bool any = host.empty() || host == "*";
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (any && passive ? AI_PASSIVE : 0) | (is_literal(host) ? AI_NUMERICHOST : 0);
  addrinfo* found = nullptr;
  const bool unnamed = any || host == "localhost";  // which needs no file and no server (RFC 6761, section 6.3)
  const int failed = ::getaddrinfo(unnamed ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed == EAI_SYSTEM) return error::from_errno(errno, "look up host '" + host + "'");
  if (failed != 0) return error(errc::not_found, "host '" + host + "' not found: " + ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, &::freeaddrinfo);
  std::vector<socket_address> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_addrlen > sizeof(sockaddr_storage)) continue;
    socket_address& address = addresses.emplace_back();
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
  }
  if (addresses.empty()) return error(errc::not_found, "host '" + host + "' has no usable address");
  return addresses;
}

result<unique_fd> open_stream_socket(int family, const options& with) {
  unique_fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return error::from_errno(errno, "open a socket");
  // Buffer sizes count only when set before connect or listen: TCP announces its window scale then.
  set_send_buffer(fd.get(), family, with);
  if (with.socket_receive_buffer != 0)
    set_int(fd.get(), SOL_SOCKET, SO_RCVBUF, static_cast<int>(with.socket_receive_buffer));
  return fd;
}

void tune_connected(int fd, int family, const options& with) noexcept {
  set_send_buffer(fd, family, with);
  if (family != AF_INET && family != AF_INET6) return;
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, with.no_delay ? 1 : 0);
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, with.keep_alive ? 1 : 0);
  if (!with.keep_alive) return;
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds_of(with.keep_alive_idle));
  set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds_of(with.keep_alive_interval));
  set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, static_cast<int>(with.keep_alive_count));
}

result<std::size_t> send_parts(int fd, std::span<const bytes> from) noexcept {
  constexpr std::size_t k_most = 16;
  std::array<iovec, k_most> parts;  // NOLINT: filled below as far as it is used
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = std::min(from.size(), k_most);
  for (std::size_t i = 0; i < header.msg_iovlen; ++i)
    parts[i] = {const_cast<std::byte*>(from[i].data()), from[i].size()};
  for (;;) {
    const ssize_t n = ::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return error_of(errno);
  }
}

std::size_t unread(int fd) noexcept {
  int waiting = 0;
  return ::ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0 ? static_cast<std::size_t>(waiting) : 0;
}

result<bool> start_connect(int fd, const socket_address& to) {
  for (;;) {
    if (::connect(fd, to.get(), to.size) == 0) return true;
    if (errno == EINPROGRESS) return false;
    // A Unix listener whose backlog is full answers EAGAIN: nobody is there to take the connection now.
    if (errno == EAGAIN)
      return error(errc::busy, "connect to " + to.text() + ": the listener's backlog is full", EAGAIN);
    if (errno != EINTR) return error::from_errno(errno, "connect to " + to.text());
  }
}

result<void> connect_result(int fd, const socket_address& to) {
  int failed = 0;
  socklen_t size = sizeof failed;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0) failed = errno;
  if (failed != 0) return error::from_errno(failed, "connect to " + to.text());
  return {};
}

result<accepted> accept(int fd) {
  for (;;) {
    accepted got;
    got.peer.size = sizeof got.peer.storage;
    got.fd.reset(::accept4(fd, got.peer.get(), &got.peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (got.fd) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return errc::would_block;
    if (errno != EINTR && errno != ECONNABORTED) return error::from_errno(errno, "accept");
  }
}

result<socket_address> local_address(int fd) {
  socket_address address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.size) != 0) return error::from_errno(errno, "read the local address");
  return address;
}

peer_info identify_peer(int fd, const socket_address& peer) {
  peer_info who;
  if (peer.size > sizeof(sa_family_t)) who.address = peer.text();
  if (peer.family() != AF_UNIX) return who;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
    who.process = {credentials.uid, credentials.gid, credentials.pid};
  return who;
}

bool is_allowed(const peer_info& who, const options& with) noexcept {
  const auto& allowed = with.allow_uids;
  return allowed.empty() ||
         (who.process && std::find(allowed.begin(), allowed.end(), who.process->uid) != allowed.end());
}

error describe_not_allowed(const peer_info& who) {
  return {errc::auth, "connection from " + who.text() + " refused: its user is not in allow_uids"};
}

}  // namespace ferry::os
