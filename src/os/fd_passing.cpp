#include "os/fd_passing.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ferry::os {
namespace {

constexpr std::size_t k_most_fds = 4;  // more are closed by the kernel

error failed_with(int system_errno, const char* what) noexcept {
  if (system_errno == EAGAIN || system_errno == EWOULDBLOCK) return errc::would_block;
  try {
    return error::from_errno(system_errno, what);
  } catch (...) {
    return errc::network;
  }
}

}  // namespace

result<void> send_with_fd(int socket, bytes text, int passed) noexcept {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<std::byte*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (passed >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &passed, sizeof passed);
  }
  for (;;) {
    const ssize_t n = ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 && static_cast<std::size_t>(n) == text.size()) return {};
    if (n >= 0) return errc::network;
    if (errno != EINTR) return failed_with(errno, "send over a Unix socket");
  }
}

result<received_with_fd> receive_with_fd(int socket, mutable_bytes into) noexcept {
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * k_most_fds)> control{};
  iovec part{into.data(), into.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return failed_with(errno, "receive over a Unix socket");
  received_with_fd got{static_cast<std::size_t>(n), {}};
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t fds = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(one) + i * sizeof(int), sizeof fd);
      unique_fd taken(fd);
      if (!got.fd) got.fd = std::move(taken);
    }
  }
  if (!got.fd && (header.msg_flags & MSG_CTRUNC) != 0) return failed_with(EMFILE, "receive a descriptor");
  if (n == 0) return errc::end_of_stream;
  return got;
}

}  // namespace ferry::os
