#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <netinet/in.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "net/listening_sockets.hpp"
#include "net/proxy_acceptor.hpp"
#include "net/socket_stream.hpp"
#include "net/transports.hpp"

namespace ferry::net {
namespace {

namespace asio = boost::asio;

// Looks the host up, where blocking is allowed, then connects to what was found.
class tcp_attempt final : public connect_attempt {
 public:
  tcp_attempt(context& where, const endpoint& to, const options& with, stream_transport::connect_handler done)
      : state_(std::make_shared<state>(where.io(), with, std::move(done))) {
    const bool in_place = os::is_literal(to.host) || !where.blocking_executor();
    asio::any_io_executor look_up_on =
        in_place ? asio::any_io_executor(where.io().get_executor()) : where.blocking_executor();
    // The io_context must not run dry while another executor looks the name up.
    auto work = asio::make_work_guard(where.io());
    asio::post(look_up_on, [state = state_, host = to.host, port = to.port, work = std::move(work)]() mutable {
      // Nobody looks up for who has gone while others were looked up.
      auto addresses = state->gone.load(std::memory_order_relaxed)
                           ? result<std::vector<os::socket_address>>(errc::closed)
                           : os::resolve(host, port, false);
      asio::post(state->io, [state, addresses = std::move(addresses), work = std::move(work)]() mutable {
        state->resolved(std::move(addresses));
      });
    });
  }
  ~tcp_attempt() override {
    state_->gone.store(true, std::memory_order_relaxed);  // orders nothing
    state_->done = nullptr;
    state_->connecting.reset();
  }

 private:
  struct state : std::enable_shared_from_this<state> {
    state(asio::io_context& io_, const options& with_, stream_transport::connect_handler done_)
        : io(io_), with(with_), done(std::move(done_)) {}
    void resolved(result<std::vector<os::socket_address>> addresses) {
      if (!done) return;
      if (!addresses) return std::exchange(done, nullptr)(addresses.error());
      connecting = connect_socket(io, std::move(*addresses), with, [self = this](result<std::shared_ptr<stream>> made) {
        // `self` lives: its attempt cancels this handler before it lets go of the state.
        std::exchange(self->done, nullptr)(std::move(made));
      });
    }
    asio::io_context& io;
    options with;
    std::atomic<bool> gone{false};
    stream_transport::connect_handler done;  // empty once called or cancelled
    std::unique_ptr<connect_attempt> connecting;
  };
  std::shared_ptr<state> state_;
};

result<os::unique_fd> listen_at(const os::socket_address& at, const options& with, bool both_families) {
  auto fd = os::open_stream_socket(at.family(), with);
  if (!fd) return fd.error();
  const int on = 1;
  const int v6_only = both_families ? 0 : 1;
  ::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // a restart must not wait for old connections
  if (with.reuse_port) ::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (at.family() == AF_INET6) ::setsockopt(fd->get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  if (::bind(fd->get(), at.get(), at.size) != 0) return error::from_errno(errno, "bind " + at.text());
  if (::listen(fd->get(), static_cast<int>(with.backlog)) != 0)
    return error::from_errno(errno, "listen on " + at.text());
  return std::move(*fd);
}

result<std::unique_ptr<acceptor>> accept_at(context& where, std::shared_ptr<os::unique_fd> owner, const options& with) {
  const int listening = owner->get();
  const auto bound = os::local_address(listening);
  if (!bound) return bound.error();
  auto made = accept_on(where.io(), listening, bound->family(), with, "tcp://" + bound->text(),
                        [owner = std::move(owner)] { owner->reset(); });
  if (!made) return made.error();
  return accept_proxied(where, std::move(*made), with);
}

class tcp_transport final : public stream_transport {
 public:
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    const auto kept = listening_sockets::of(where.io());
    if (kept)
      if (auto given = kept->take(at)) return accept_at(where, std::move(given), with);
    const bool everywhere = at.host.empty() || at.host == "*";
    auto addresses = os::resolve(at.host, at.port, true);
    if (!addresses) return addresses.error();
    // One IPv6 socket takes both families; where there is no IPv6, IPv4 alone is what "everywhere" means.
    if (everywhere)
      std::stable_sort(addresses->begin(), addresses->end(),
                       [](const auto& a, const auto& b) { return a.family() == AF_INET6 && b.family() != AF_INET6; });
    error last = errc::bad_address;
    for (const auto& address : *addresses) {
      auto fd = listen_at(address, with, everywhere);
      if (!fd) {
        last = fd.error();
        continue;
      }
      auto owner = std::make_shared<os::unique_fd>(std::move(*fd));
      if (kept) kept->note(owner);
      return accept_at(where, std::move(owner), with);
    }
    return last;
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    return std::make_unique<tcp_attempt>(where, to, with, std::move(done));
  }
};

}  // namespace

std::shared_ptr<stream_transport> make_tcp_transport() { return std::make_shared<tcp_transport>(); }

}  // namespace ferry::net
