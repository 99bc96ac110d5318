#include "net/listening_sockets.hpp"

#include <fcntl.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/execution_context.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ferry::net {
namespace {

namespace asio = boost::asio;

class used_by final : public asio::execution_context::service {
 public:
  using key_type = used_by;
  inline static asio::execution_context::id id;
  explicit used_by(asio::execution_context& io) : service(io) {}
  std::shared_ptr<listening_sockets> all;

 private:
  void shutdown() noexcept override { all = nullptr; }
};

std::uint16_t port_of(const os::socket_address& at) {
  if (at.family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(at.storage).sin_port);
  if (at.family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(at.storage).sin6_port);
  return 0;
}

bool same_host(const os::socket_address& one, const os::socket_address& other) {
  if (one.family() != other.family()) return false;
  if (one.family() == AF_INET)
    return reinterpret_cast<const sockaddr_in&>(one.storage).sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in&>(other.storage).sin_addr.s_addr;
  const auto& a = reinterpret_cast<const sockaddr_in6&>(one.storage);
  const auto& b = reinterpret_cast<const sockaddr_in6&>(other.storage);
  return std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0 && a.sin6_scope_id == b.sin6_scope_id;
}

result<os::unique_fd> copy_of(int fd) {
  os::unique_fd made(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!made) return error::from_errno(errno, "copy a listening socket");
  return made;
}

}  // namespace

void listening_sockets::use(asio::io_context& io, std::shared_ptr<listening_sockets> all) {
  asio::use_service<used_by>(io).all = std::move(all);
}

std::shared_ptr<listening_sockets> listening_sockets::of(asio::io_context& io) {
  return asio::has_service<used_by>(io) ? asio::use_service<used_by>(io).all : nullptr;
}

int listening_sockets::entry::fd() const {
  if (waiting) return waiting.get();
  if (const auto one = tcp.lock()) return one->get();
  const auto one = local.lock();
  return one ? one->get() : -1;
}

result<void> listening_sockets::add(passed_socket given) {
  const int fd = given.fd.get();
  int kind = 0, listens = 0;
  socklen_t size = sizeof kind;
  auto bound = os::local_address(fd);
  const bool good = bound && ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_STREAM &&
                    ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
  if (!good || (bound->family() != AF_UNIX && bound->family() != AF_INET && bound->family() != AF_INET6))
    return error(errc::misuse, "descriptor " + std::to_string(fd) + " is no stream socket that listens");
  // Another process may have made it otherwise than we make ours.
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return error::from_errno(errno, "prepare descriptor " + std::to_string(fd));
  all_.push_back({*bound, std::move(given.whose), true, given.owns_file, std::move(given.fd)});
  return {};
}

bool listening_sockets::fits(const entry& one, const os::socket_address& wanted) const {
  if (!same_host(one.at, wanted)) return false;
  if (const auto port = port_of(wanted); port != 0) return port == port_of(one.at);
  return one.whose.empty() || one.whose == whose_;
}

const listening_sockets::entry* listening_sockets::first_at(const endpoint& at, bool waiting) const {
  const bool given = std::any_of(all_.begin(), all_.end(), [](const entry& one) { return one.given; });
  if (!given) return nullptr;  // names are looked up for nothing else
  const auto wanted = os::resolve(at.host, at.port, true);
  if (!wanted) return nullptr;
  for (const auto& one : all_) {
    if (!one.given || one.at.family() == AF_UNIX || static_cast<bool>(one.waiting) != waiting) continue;
    if (!waiting && (at.port == 0 || one.whose != whose_ || one.fd() < 0)) continue;
    if (std::any_of(wanted->begin(), wanted->end(), [&](const auto& address) { return fits(one, address); }))
      return &one;
  }
  return nullptr;
}

std::size_t listening_sockets::waiting_at(const endpoint& at) const {
  const auto* const first = first_at(at, true);
  if (first == nullptr) return 0;
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [&](const entry& one) {
    return one.waiting && same_host(one.at, first->at) && port_of(one.at) == port_of(first->at);
  }));
}

std::shared_ptr<os::unique_fd> listening_sockets::take(const endpoint& at) {
  if (const auto* const waits = first_at(at, true)) {
    auto& one = all_[static_cast<std::size_t>(waits - all_.data())];
    auto made = std::make_shared<os::unique_fd>(std::move(one.waiting));
    one.tcp = made;
    one.whose = whose_;
    return made;
  }
  const auto* const taken = first_at(at, false);
  if (taken == nullptr) return nullptr;
  auto copy = copy_of(taken->fd());
  return copy ? std::make_shared<os::unique_fd>(std::move(*copy)) : nullptr;
}

std::shared_ptr<os::unix_listener> listening_sockets::take(const std::string& path) {
  for (auto& one : all_) {
    if (!one.waiting || one.at.family() != AF_UNIX || one.at.text() != path) continue;
    auto made = std::make_shared<os::unix_listener>(os::unix_listener::adopt(std::move(one.waiting), one.owns_file));
    one.local = made;
    one.whose = whose_;
    return made;
  }
  return nullptr;
}

void listening_sockets::note(const std::shared_ptr<os::unique_fd>& made) {
  const auto bound = os::local_address(made->get());
  if (bound) all_.push_back({*bound, whose_, false, false, {}, made});
}

void listening_sockets::note(const std::shared_ptr<os::unix_listener>& made) {
  const auto bound = os::local_address(made->get());
  if (bound) all_.push_back({*bound, whose_, false, made->owns_file(), {}, {}, made});
}

result<std::vector<passed_socket>> listening_sockets::copies() const {
  std::vector<passed_socket> made;
  for (const auto& one : all_) {
    if (one.waiting || one.fd() < 0) continue;
    auto copy = copy_of(one.fd());
    if (!copy) return copy.error();
    made.push_back({std::move(*copy), one.whose, one.owns_file});
  }
  return made;
}

void listening_sockets::keep_files() {
  for (const auto& one : all_)
    if (const auto listener = one.local.lock()) listener->keep_file();
}

std::vector<std::string> listening_sockets::drop_rest() {
  std::vector<std::string> made;
  for (auto& one : all_)
    if (one.waiting) {
      made.push_back(one.at.text());
      one.waiting.reset();
    }
  return made;
}

result<std::shared_ptr<os::unix_listener>> listen_at_path(asio::io_context& io, const std::string& path,
                                                          const options& with) {
  const auto kept = listening_sockets::of(io);
  if (kept)
    if (auto given = kept->take(path)) return given;
  auto opened = os::unix_listener::open(path, with);
  if (!opened) return opened.error();
  auto made = std::make_shared<os::unix_listener>(std::move(*opened));
  if (kept) kept->note(made);
  return made;
}

}  // namespace ferry::net
