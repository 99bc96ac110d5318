#pragma once
/// One descriptor to wait on for all sockets of a client or a server, where its owner wants one.

#include <sys/epoll.h>

#include <array>
#include <utility>

#include "os/unique_fd.hpp"

namespace ferry::compat::tcpshm {

/// Does nothing before descriptor() was called; from then on one thread polls. Edges: a socket that is added shows
/// once when something comes, can be written again, or ends, until drain(); closing it takes it out.
class wake_set {
 public:
  /// @return -1: no descriptors are left
  [[nodiscard]] int descriptor() noexcept {
    if (!epoll_) epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    return epoll_ ? epoll_.get() : -1;
  }
  void add(int fd) noexcept {
    if (!epoll_) return;
    epoll_event what{};
    what.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    // Without memory for it, the next poll comes with the next timer.
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &what);
  }
  /// Before a poll: what shows afterwards is news.
  void drain() noexcept {
    if (!epoll_) return;
    std::array<epoll_event, 64> shown;  // NOLINT: nobody looks at them
    while (::epoll_wait(epoll_.get(), shown.data(), static_cast<int>(shown.size()), 0) ==
           static_cast<int>(shown.size())) {
    }
  }
  /// Bytes came, of which there may be more than one poll receives.
  void heard() noexcept {
    if (epoll_) heard_ = true;
  }
  [[nodiscard]] bool take_heard() noexcept { return std::exchange(heard_, false); }

 private:
  os::unique_fd epoll_;
  bool heard_ = false;
};

}  // namespace ferry::compat::tcpshm
