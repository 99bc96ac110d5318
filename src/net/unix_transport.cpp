#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <fcntl.h>

#include <cerrno>

#include "net/event_loop.hpp"
#include "net/listening_sockets.hpp"
#include "net/posted_attempt.hpp"
#include "net/socket_stream.hpp"
#include "net/transports.hpp"
#include "os/unix_listener.hpp"

namespace ferry::net {
namespace {

class unix_transport final : public stream_transport {
 public:
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    const auto listening = listen_at_path(where.io(), at.path, with);
    if (!listening) return listening.error();
    const auto& owner = *listening;
    return accept_on(where.io(), owner->get(), AF_UNIX, with, at.text(), [owner] { owner->close(); });
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    const auto address = os::unix_address(to.path);
    if (!address) return std::make_unique<posted_attempt>(where.io(), address.error(), std::move(done));
    return connect_socket(where.io(), {*address}, with, std::move(done));
  }
};

}  // namespace

std::shared_ptr<stream_transport> make_unix_transport() { return std::make_shared<unix_transport>(); }

result<std::unique_ptr<acceptor>> adopt_unix_acceptor(context& where, int listening_fd, const options& with) {
  const auto owner = std::make_shared<os::unique_fd>(listening_fd);
  if (const auto ready = make_ready(where.io()); !ready) return ready.error();
  int listens = 0;
  socklen_t size = sizeof listens;
  const auto address = os::local_address(listening_fd);
  if (!address || address->family() != AF_UNIX ||
      ::getsockopt(listening_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)
    return error(errc::misuse, "descriptor " + std::to_string(listening_fd) + " is not a listening Unix stream socket",
                 errno);
  // Another process may have made it otherwise than we make ours.
  if (::fcntl(listening_fd, F_SETFL, ::fcntl(listening_fd, F_GETFL) | O_NONBLOCK) != 0 ||
      ::fcntl(listening_fd, F_SETFD, FD_CLOEXEC) != 0)
    return error::from_errno(errno, "prepare descriptor " + std::to_string(listening_fd));
  return accept_on(
      where.io(), listening_fd, AF_UNIX, with, endpoint{"ipc", {}, 0, address->text(), {}}.text(),
      [owner] { owner->reset(); }, true);
}

}  // namespace ferry::net
