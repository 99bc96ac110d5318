#pragma once
/// A connection of a persistent session before anything but logins was said on it; whether a stream will carry the
/// messages, or the memory that comes with the logins. Source: docs/sessions.md.

#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <array>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "os/unique_fd.hpp"
#include "session/login.hpp"

namespace ferry::net {

/// What one side has said.
struct heard_login {
  std::array<std::byte, session::k_login_bytes> text;
  os::unique_fd ring;  ///< of the peer's outgoing ring; none over a stream
};

/// On the io_context's thread. Destroying it ends the connection, unless that was taken over.
class greeting {
 public:
  virtual ~greeting() = default;
  /// @param ring_fd  of our outgoing ring; not for a stream
  /// @return reset | busy: the connection takes not even a login
  [[nodiscard]] virtual result<void> say(bytes text, int ring_fd) = 0;
  /// `then` is called once, never from inside this call: with what the peer said, or why it said nothing. Who gives up
  /// waiting destroys the greeting.
  virtual void async_hear(std::function<void(result<heard_login>)> then) = 0;
  [[nodiscard]] virtual peer_info peer() const = 0;
};

/// A stream whose events go to one after the other: to whoever says the logins, then to whoever carries the messages.
class stream_line final : private stream_events, public std::enable_shared_from_this<stream_line> {
 public:
  [[nodiscard]] static std::shared_ptr<stream_line> open(std::shared_ptr<stream> connected);
  explicit stream_line(std::shared_ptr<stream> connected) : stream_(std::move(connected)) {}

  [[nodiscard]] stream& at() const noexcept { return *stream_; }
  /// @param owner  is kept alive while an event of `to` is under way
  void lead_to(stream_events* to, std::weak_ptr<void> owner) noexcept {
    to_ = to;
    owner_ = std::move(owner);
  }
  void close() noexcept {
    to_ = nullptr;
    stream_->close();
  }

 private:
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;

  std::shared_ptr<stream> stream_;
  stream_events* to_ = nullptr;
  std::weak_ptr<void> owner_;
};

class stream_greeting final : public greeting, private stream_events {
 public:
  explicit stream_greeting(std::shared_ptr<stream> connected);
  ~stream_greeting() override;
  [[nodiscard]] result<void> say(bytes text, int ring_fd) override;
  void async_hear(std::function<void(result<heard_login>)> then) override;
  [[nodiscard]] peer_info peer() const override { return line_->at().peer(); }
  /// The connection, of which nothing was read or written but the logins.
  [[nodiscard]] std::shared_ptr<stream_line> take() noexcept { return std::exchange(line_, nullptr); }

 private:
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override {}
  void read_on();
  void finish(result<heard_login> outcome);

  std::shared_ptr<stream_line> line_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  heard_login heard_{};
  std::size_t have_ = 0;
  std::function<void(result<heard_login>)> then_;
};

class memory_greeting final : public greeting {
 public:
  memory_greeting(boost::asio::io_context& io, os::unique_fd socket, peer_info peer);
  ~memory_greeting() override;
  [[nodiscard]] result<void> say(bytes text, int ring_fd) override;
  void async_hear(std::function<void(result<heard_login>)> then) override;
  [[nodiscard]] peer_info peer() const override;
  /// The socket, of which nothing was read or written but the logins.
  [[nodiscard]] os::unique_fd take() noexcept;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

/// Where greetings arrive. Contracts as in ferry::acceptor.
class greeting_source {
 public:
  virtual ~greeting_source() = default;
  [[nodiscard]] virtual result<std::unique_ptr<greeting>> try_accept() = 0;
  virtual void async_wait(std::function<void()> ready) = 0;
  virtual result<void> refuse_new() = 0;
  virtual void close() noexcept = 0;
  [[nodiscard]] virtual std::string local_url() const = 0;
};
[[nodiscard]] std::unique_ptr<greeting_source> stream_greetings(std::unique_ptr<acceptor> from);
/// At the socket of a shared-memory endpoint. @return as ring_acceptor::open
[[nodiscard]] result<std::unique_ptr<greeting_source>> memory_greetings(boost::asio::io_context& io,
                                                                        const std::string& name,
                                                                        std::shared_ptr<const options> with);

/// One attempt to connect to one; `done` is called once, never from inside this call, and not after the attempt was
/// destroyed.
[[nodiscard]] std::unique_ptr<connect_attempt> greet_memory(
    boost::asio::io_context& io, std::string name, std::shared_ptr<const options> with,
    std::function<void(result<std::unique_ptr<greeting>>)> done);

}  // namespace ferry::net
