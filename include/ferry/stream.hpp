#pragma once
/// Streams: what carries the bytes of a channel, and how a program adds its own. Everything here runs on the thread
/// that turns the context's io_context.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace ferry {

class context;
struct endpoint;
struct options;

/// Who is at the other end, as far as the transport can tell.
struct peer_info {
  struct credentials {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0;  ///< 0 where the peer lives in another pid namespace
  };
  std::string address;                 ///< "127.0.0.1:4711", "@name", "/run/a.sock"; empty: unnamed
  std::optional<credentials> process;  ///< vouched for by the kernel; Unix sockets only

  /// For people: the address, or "pid 4711 uid 1000".
  [[nodiscard]] std::string text() const;
};

/// What a stream reports. Never called from inside a function of the stream, and never after close().
class stream_events {
 public:
  /// The read asked for by async_read: how many bytes came (at least 1), errc::end_of_stream, or why the stream broke.
  virtual void on_read(result<std::size_t> outcome) = 0;
  /// The stream takes bytes again; asked for by async_wait_writable.
  virtual void on_writable() = 0;

 protected:
  ~stream_events() = default;
};

/// One life of an ordered two-way flow of bytes.
class stream {
 public:
  virtual ~stream() = default;

  /// Called once, before any other member. `owner` is kept until close(), so that `events` stays alive.
  virtual void attach(stream_events& events, std::shared_ptr<void> owner) = 0;

  /// Never blocks. @return bytes read (at least 1) | errc::would_block | errc::end_of_stream | why the stream broke.
  [[nodiscard]] virtual result<std::size_t> try_read(mutable_bytes into) noexcept = 0;
  /// Never blocks. @return bytes taken, possibly fewer than given | errc::would_block | why the stream broke.
  [[nodiscard]] virtual result<std::size_t> try_write(std::span<const bytes> from) noexcept = 0;

  /// One on_read follows; `into` must stay valid until then or until close(). At most one at a time.
  virtual void async_read(mutable_bytes into) = 0;
  /// One on_writable follows. At most one at a time.
  virtual void async_wait_writable() = 0;

  /// Ends our direction once everything written has gone out; the peer reads end of stream.
  virtual result<void> shutdown_write() = 0;
  /// Takes nothing more from the peer: what has come already can still be read, then end of stream. On a Unix socket
  /// the peer's writes fail from then on, so it knows to the byte what was taken. @return unsupported where that cannot
  /// be done.
  virtual result<void> shutdown_read() { return errc::unsupported; }
  /// Bytes that have come and were not read yet; 0 where that is not known.
  [[nodiscard]] virtual std::size_t unread() const noexcept { return 0; }
  /// Ends both directions now; idempotent. Unread and unsent bytes are dropped.
  virtual void close() noexcept = 0;

  [[nodiscard]] virtual peer_info peer() const = 0;
};

/// Where streams arrive.
class acceptor {
 public:
  virtual ~acceptor() = default;
  /// Never blocks. @return a stream | errc::would_block | errc::busy (no descriptors or memory left: try later) |
  /// errc::auth (somebody who is not allowed; already closed) | another error of this one attempt.
  [[nodiscard]] virtual result<std::shared_ptr<stream>> try_accept() = 0;
  /// Calls `ready` once when try_accept may succeed; not after close(). At most one at a time.
  virtual void async_wait(std::function<void()> ready) = 0;
  /// From now on connecting fails, while whoever waits already can still be accepted. @return unsupported where that
  /// cannot be done, or where others listen on the same socket.
  virtual result<void> refuse_new() { return errc::unsupported; }
  virtual void close() noexcept = 0;
  /// The URL to connect to, with the port that was bound: "tcp://0.0.0.0:40123".
  [[nodiscard]] virtual std::string local_url() const = 0;
};

/// An attempt to connect; destroying it ends the attempt, and its handler is then never called.
class connect_attempt {
 public:
  virtual ~connect_attempt() = default;
};

/// What a transport's messages have besides their bytes, and what its table row says.
struct transport_traits {
  bool carries_kind = false;  ///< text and binary are told apart; else everything arrives as binary
  bool carries_type = false;  ///< the 16-bit type travels; else sending a type other than 0 is errc::unsupported
};

/// A family of streams, reached by a URL scheme.
class stream_transport {
 public:
  using connect_handler = std::function<void(result<std::shared_ptr<stream>>)>;
  virtual ~stream_transport() = default;

  /// @return an acceptor that is listening already | bad_address | address_in_use | permission | not_found | busy ...
  [[nodiscard]] virtual result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                                 const options& with) = 0;
  /// One attempt; `done` is called once, never from inside this call. Its deadline is the caller's business.
  [[nodiscard]] virtual std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to,
                                                                 const options& with, connect_handler done) = 0;
  /// True where messages stay in this process, which may then carry kind and type without a wire to agree on.
  [[nodiscard]] virtual bool local() const noexcept { return false; }
};

}  // namespace ferry
