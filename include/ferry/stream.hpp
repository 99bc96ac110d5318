#pragma once
/// Streams: what carries the bytes of a channel, and how a program adds its own. Everything here runs on the thread
/// that turns the context's io_context.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/http.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferry {

class context;
struct endpoint;
struct options;

/// What a TLS handshake has come to; fingerprints are SHA-256 in small hexadecimal digits.
struct tls_info {
  std::string version;      ///< "TLSv1.3"
  std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
  std::string alpn;         ///< the application protocol that both speak; empty: none was agreed on
  std::string server_name;  ///< that the connecting end asked for; empty: none
  bool resumed = false;     ///< an earlier session goes on, without certificates having been exchanged again
  std::string subject;  ///< of the peer's certificate, as RFC 2253 writes it; empty, as what follows: it showed none
  std::string issuer;
  std::string certificate_sha256;  ///< fingerprint of the whole certificate
  std::string key_sha256;          ///< fingerprint of its public key (SubjectPublicKeyInfo)
};

/// What a WebSocket handshake has come to. Without a handshake (ws+raw, wss+raw) there is none.
struct websocket_info {
  std::string subprotocol;              ///< that both speak; empty: none was agreed on
  bool compressed = false;              ///< permessage-deflate is in use
  std::optional<http_request> request;  ///< what the client asked for; at the accepting end
};

/// Who is at the other end, as far as the transport can tell.
struct peer_info {
  struct credentials {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int32_t pid = 0;  ///< 0 where the peer lives in another pid namespace
  };
  std::string address;                              ///< "127.0.0.1:4711", "@name", "/run/a.sock"; empty: unnamed
  std::optional<credentials> process;               ///< vouched for by the kernel; Unix sockets only
  std::shared_ptr<const tls_info> tls;              ///< where the stream is encrypted; else null
  std::shared_ptr<const websocket_info> websocket;  ///< where a WebSocket handshake was made; else null
  std::string login_data;                           ///< what it said of itself when it logged in (`session=persistent`)
  std::string through;  ///< address of the balancer that the peer came through (`proxy_protocol`); empty: none

  /// For people: the address, or "pid 4711 uid 1000".
  [[nodiscard]] std::string text() const;
};

/// How a peer that can say so ended: the Close of a WebSocket.
struct close_note {
  std::uint16_t code = 1005;  ///< RFC 6455, section 7.4; 1005: it gave none
  std::string reason;         ///< at most 123 bytes of UTF-8
};

/// What a stream that asks its peer for a sign of life has found out.
struct stream_health {
  std::optional<std::chrono::nanoseconds> round_trip;  ///< the last one that was measured
  std::uint32_t misses = 0;                            ///< questions without an answer, in a row
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
  /// Never blocks. @return bytes taken, possibly fewer than given (then what follows begins with the first byte that
  /// was not) | errc::would_block | why the stream broke.
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
  /// The address of this end, written like the peer's; empty: unnamed, or not known.
  [[nodiscard]] virtual std::string local_address() const { return {}; }

  // What only some streams can.

  /// What shutdown_write() tells the peer. @return unsupported | misuse: a code that may not be sent, a reason that is
  /// not UTF-8 or longer than 123 bytes
  virtual result<void> set_close_note(std::uint16_t code, std::string_view reason) {
    (void)code, (void)reason;
    return errc::unsupported;
  }
  /// What the peer said when it ended; nothing: it has not, or cannot.
  [[nodiscard]] virtual std::optional<close_note> peer_close_note() const { return std::nullopt; }
  /// Asks the peer for a sign of life; if there is none, the stream breaks by itself. @return false: it cannot ask
  virtual bool ask_for_life() noexcept { return false; }
  [[nodiscard]] virtual stream_health health() const noexcept { return {}; }
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
  /// Calls `began` when what carries the bytes is there and a handshake on top begins: of TLS, of HTTP. At most once,
  /// never from inside this call; never where there is no handshake.
  virtual void on_handshake(std::function<void()> began) { began = nullptr; }
};

/// What a transport's messages have besides their bytes, and what its table row says.
struct transport_traits {
  bool carries_kind = false;   ///< text and binary are told apart; else everything arrives as binary
  bool carries_type = false;   ///< the 16-bit type travels; else sending a type other than 0 is errc::unsupported
  bool carries_parts = false;  ///< a message can be sent in parts; else sending one is errc::unsupported
};

/// How messages lie in the streams of a transport.
enum class stream_shape : std::uint8_t {
  plain,     ///< bytes, framed as the option `framing` says; automatic: varint
  local,     ///< messages stay in this process, so kind and type need no wire to agree on; automatic: typed
  messages,  ///< the stream knows messages itself; there is nothing to choose
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
  [[nodiscard]] virtual stream_shape shape() const noexcept { return stream_shape::plain; }
};

}  // namespace ferry
