#pragma once
/// Shared-memory connections in an event loop: the attempt to make one, and where they arrive.

#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "net/ring_link.hpp"
#include "net/watch.hpp"
#include "os/unix_listener.hpp"

namespace ferry::net {

/// One attempt; `done` is called once, never from inside this call, and not after the attempt was destroyed.
[[nodiscard]] std::unique_ptr<connect_attempt> connect_ring(
    boost::asio::io_context& io, std::string name, std::shared_ptr<const options> with,
    std::function<void(result<std::unique_ptr<ring_link>>)> done);

/// A listening endpoint. Who connects has connect_timeout (5 s if that is off) to say hello; at most 64 are waited for
/// at a time, the others wait in the kernel. Contracts as in ferry::acceptor.
class ring_acceptor {
 public:
  /// @return bad_address | address_in_use | permission | auth | ...
  [[nodiscard]] static result<std::unique_ptr<ring_acceptor>> open(boost::asio::io_context& io, const std::string& name,
                                                                   std::shared_ptr<const options> with);
  ring_acceptor(boost::asio::io_context& io, std::shared_ptr<os::unix_listener> at, std::string name,
                std::shared_ptr<const options> with);
  ~ring_acceptor() { close(); }

  [[nodiscard]] result<std::unique_ptr<ring_link>> try_accept();
  void async_wait(std::function<void()> ready);
  result<void> refuse_new();
  void close() noexcept;
  [[nodiscard]] std::string local_url() const;

 private:
  struct guest;
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace ferry::net
