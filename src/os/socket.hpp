#pragma once
/// Stream sockets without an event loop: addresses, options, and non-blocking reading and writing.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// An address of any family.
struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
  /// "127.0.0.1:80", "[::1]:80", "/run/a.sock", "@name"; empty for an unnamed Unix socket.
  [[nodiscard]] std::string text() const;
  /// In digits and without the port, as resolve() takes it without blocking; empty for a Unix socket.
  [[nodiscard]] std::string host() const;
};

/// "/path" or "@abstract"; @return errc::bad_address with the limit (107 bytes) if it is too long or empty.
[[nodiscard]] result<socket_address> unix_address(std::string_view path);

/// All addresses of a host, in the order in which the system prefers them; may block (DNS).
/// @param host  name, IPv4, IPv6 with or without zone; "" or "*": all interfaces (`passive`), else loopback;
///              "localhost": loopback, without asking anybody
/// @return errc::not_found with the name if there is none.
[[nodiscard]] result<std::vector<socket_address>> resolve(const std::string& host, std::uint16_t port, bool passive);
/// True if `resolve` cannot block: a literal address or "*".
[[nodiscard]] bool is_literal(const std::string& host);

/// A non-blocking, close-on-exec stream socket with the options that hold before connect or listen.
[[nodiscard]] result<unique_fd> open_stream_socket(int family, const options& with);
/// no-delay, keep-alive and buffer sizes; options that this family does not have are left out.
void tune_connected(int fd, int family, const options& with) noexcept;

/// One system call that failed.
[[nodiscard]] error error_of(int system_errno) noexcept;
/// send() of several pieces.
[[nodiscard]] result<std::size_t> send_parts(int fd, std::span<const bytes> from) noexcept;

// Inline: behind a system call the processor has forgotten where its callers return to, and each return costs as much
// as thirty other instructions.

/// Never blocks. @return bytes | would_block | end_of_stream | reset | network ...
[[nodiscard]] inline result<std::size_t> receive(int fd, mutable_bytes into) noexcept {
  for (;;) {
    const ssize_t n = ::recv(fd, into.data(), into.size(), MSG_DONTWAIT);
    if (n > 0) return static_cast<std::size_t>(n);
    if (n == 0) return errc::end_of_stream;
    if (errno != EINTR) return error_of(errno);
  }
}
[[nodiscard]] inline result<std::size_t> send(int fd, std::span<const bytes> from) noexcept {
  while (from.size() == 1) {
    const ssize_t n = ::send(fd, from[0].data(), from[0].size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return error_of(errno);
  }
  return send_parts(fd, from);
}

/// Bytes that have come to a socket and were not read; 0 if that cannot be told.
[[nodiscard]] std::size_t unread(int fd) noexcept;

/// Starts connecting. @return true: connected at once; false: wait until writable, then connect_result().
[[nodiscard]] result<bool> start_connect(int fd, const socket_address& to);
[[nodiscard]] result<void> connect_result(int fd, const socket_address& to);

struct accepted {
  unique_fd fd;
  socket_address peer;
};
/// Never blocks. @return would_block | busy (descriptors or memory) | another error of one attempt.
[[nodiscard]] result<accepted> accept(int fd);

[[nodiscard]] result<socket_address> local_address(int fd);
/// Who is at the other end of a Unix socket; the address alone on others.
[[nodiscard]] peer_info identify_peer(int fd, const socket_address& peer);
/// Whether allow_uids lets this peer of a Unix socket in.
[[nodiscard]] bool is_allowed(const peer_info& who, const options& with) noexcept;
[[nodiscard]] error describe_not_allowed(const peer_info& who);

}  // namespace ferry::os
