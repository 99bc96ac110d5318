#pragma once
/// A connected Unix or TCP socket as a stream, and the two ways to come by one.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rare.hpp"
#include "net/bare_wait.hpp"
#include "net/socket_poll.hpp"
#include "os/socket.hpp"

namespace ferry::net {

/// Where sockets connect and listen, Asio tells when one is ready.
using asio_socket =
    boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type>;

/// The event loop tells when the socket is ready; reading and writing are ours, so that a batch is one system call.
class socket_stream final : public stream,
                            public bare_wait,
                            private socket_poll::entry,
                            public std::enable_shared_from_this<socket_stream> {
 public:
  /// Takes a connected, non-blocking socket. @return network ... if the event loop refuses the descriptor.
  [[nodiscard]] static result<std::shared_ptr<stream>> make(boost::asio::io_context& io, os::unique_fd fd,
                                                            peer_info peer);
  socket_stream(boost::asio::io_context& io, os::unique_fd fd, peer_info peer)
      : poll_(boost::asio::use_service<socket_poll>(io)), fd_(std::move(fd)), address_(std::move(peer.address)) {
    if (peer.process) process_ = *peer.process;
  }
  ~socket_stream() override { unwatch(); }

  void attach(stream_events& events, std::shared_ptr<void> owner) override;
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override;
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override;
  void async_read(mutable_bytes into) override;
  [[nodiscard]] bool async_wait_readable(bare_reader& whom) override;
  void async_wait_writable() override;
  result<void> shutdown_write() override;
  result<void> shutdown_read() override;
  [[nodiscard]] std::size_t unread() const noexcept override;
  void close() noexcept override;
  [[nodiscard]] peer_info peer() const override {
    return {.address = address_, .process = process_ ? std::optional(*process_) : std::nullopt};
  }
  [[nodiscard]] std::string local_address() const override;

 private:
  enum class reading : std::uint8_t { none, bytes, readiness };

  void on_ready(std::uint32_t what) override;
  void expect(bool next) const noexcept override;

  /// Has the event loop watch the descriptor, which it does from the start and again before each wait.
  [[nodiscard]] result<void> watch();
  void unwatch() noexcept;
  void wait_to_read(reading what);
  void read_if_there();
  void end_wait(bool writing) noexcept;
  void tell_read(result<std::size_t> outcome);
  void tell_readable();
  void tell_writable();

  socket_poll& poll_;  // of the io_context
  os::unique_fd fd_;
  reading reading_ = reading::none;       // what is waited for
  bool writing_ = false;                  // room is waited for
  bool watched_ = false;                  // by the event loop
  bool may_read_ = false;                 // something may be there that the event loop does not tell again
  bool hung_ = false;                     // the peer's end, or an error, is there or behind what is there
  std::uint8_t reads_since_watched_ = 0;  // by try_read, with success
  mutable_bytes into_;                    // of the read that is waited for
  bare_reader* reader_ = nullptr;         // who waits without one, or did
  rare<error> unwatchable_;               // there was no waiting for room: the write that follows fails
  stream_events* events_ = nullptr;       // null after close(): a completion that is still under way is dropped
  std::shared_ptr<void> owner_;
  // Of the peer; a socket knows no more.
  std::string address_;
  rare<peer_info::credentials> process_;
};

/// Tries the addresses one after the other until one connects.
/// @param addresses  not empty; the error reported at the end is that of the last one
[[nodiscard]] std::unique_ptr<connect_attempt> connect_socket(boost::asio::io_context& io,
                                                              std::vector<os::socket_address> addresses,
                                                              const options& with,
                                                              stream_transport::connect_handler done);

/// Accepts on a socket that listens already.
/// @param release  called once when the acceptor closes or is destroyed; what owns the descriptor closes it there
/// @param shared   another process holds the socket too: it keeps listening when the acceptor closes
[[nodiscard]] result<std::unique_ptr<acceptor>> accept_on(boost::asio::io_context& io, int listening_fd, int family,
                                                          const options& with, std::string local_url,
                                                          std::function<void()> release, bool shared = false);

}  // namespace ferry::net
