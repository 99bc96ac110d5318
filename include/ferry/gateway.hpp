#pragma once
/// Clients and servers of a gateway: one connection to it, and over that virtual connections to the others, each of
/// which is a ferry::channel. Source: docs/gateway.md.

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// What happens when a message comes for a virtual connection that is paused, or whose receive queue is at its limit.
enum class gateway_overflow : std::uint8_t {
  pause,  ///< nothing is read from the gateway until that connection takes it: nothing is lost, all others wait
  close,  ///< that connection is closed with errc::full, and nobody waits for it
};

/// How a server proves that it knows the key.
enum class gateway_login : std::uint8_t {
  md5,   ///< as the original does, so that every gateway takes it
  hmac,  ///< HMAC-SHA-256, and the gateway has to prove the same before anything is sent: where it is one of Ferry's
};

/// How the connection to a gateway goes on when it breaks. The gateway must be set up for the same.
enum class gateway_resume : std::uint8_t {
  off,
  token,       ///< by a random token, over TLS 1.3 (tls:// alone); at the gateway: client-resume, server-resume
  snet,        ///< as snet of the original does; it protects nothing. At the gateway: client-snet-enable, ...
  snet_older,  ///< its older form
};

/// Virtual connections live on in a stream that outlives its connections; nothing is lost. The stream ends when there
/// is no other connection within `wait`, or when more was on its way than `history_limit`: what both systems hold of a
/// connection (socket_send_buffer here, what the gateway's receives) should fit into that.
struct gateway_resume_options {
  using duration = options::duration;
  gateway_resume kind = gateway_resume::off;
  bool encrypt = false;                      ///< snet: with RC4, as the gateway says
  std::size_t history_bytes = 1u << 20;      ///< of what was sent last, to be sent again; 1 at least
  std::size_t history_limit = 8u << 20;      ///< to which that grows, from the context's buffers; less: it does not
  duration wait = std::chrono::seconds(60);  ///< for another connection; the gateway has a time of its own
  duration handshake_timeout = std::chrono::seconds(10);  ///< of one attempt to make another one
};

struct gateway_options {
  using duration = options::duration;

  std::uint32_t max_packet = 512 * 1024;    ///< as at the gateway: a message has at most 4 bytes less; 4 at least
  std::uint32_t max_connections = 1 << 20;  ///< virtual ones; above: whoever dials is closed at once
  std::uint32_t max_dials = 1024;           ///< that wait for an answer; above: errc::busy
  std::uint32_t max_arriving = 1024;        ///< that others dialled and nobody has accepted; above: closed at once
  duration dial_timeout = std::chrono::seconds(10);  ///< from the call to the answer; 0: for ever
  gateway_overflow when_full = gateway_overflow::pause;
  gateway_login login = gateway_login::md5;  ///< of a server
  /// Of tcp, tls and ipc. The next attempt after a loss comes at once, further ones as link.reconnect_... say; a ping
  /// that is not answered in time starts one too, after on_ping_timeout, instead of giving the connection up. While
  /// there is no connection, link.write_timeout is longer by `wait`.
  gateway_resume_options resume;

  duration gateway_idle_time = std::chrono::seconds(30);  ///< the gateway's, for this role; 0: it has none
  duration ping_interval = std::chrono::seconds(10);  ///< a ping when nothing was sent for so long; below the idle time
  duration ping_timeout{};                            ///< that an answer may take; 0: as long as an interval
  /// Called before the connection is given up, or resumed, because a ping was not answered; set it where ping_timeout
  /// is set, and only there. On the context's thread; may call anything.
  std::function<void()> on_ping_timeout;

  /// Of the connection to the gateway; options in the URL come on top. `batch_bytes` are read at once;
  /// `send_queue_bytes` and `send_queue_messages` limit what waits for the gateway, of all virtual connections
  /// together; `receive_queue_bytes` and `receive_queue_messages` limit what each virtual connection holds for its
  /// receiver; `reconnect` makes another connection when one is lost, `connect_timeout` includes a server's login.
  /// `max_message` and `framing` follow from the rest; `senders=many` and `session` cannot be had.
  options link;
};

/// Which virtual connection a channel is.
struct gateway_address {
  std::uint32_t connection = 0;  ///< the gateway's number of it
  std::uint32_t remote = 0;      ///< the ID of the other end: a server's for a client, a client's for a server
  std::string address{};         ///< where a client comes from, "192.0.2.1:4711"; empty: the gateway did not tell it
};
/// Nothing where the channel is no virtual connection.
[[nodiscard]] std::optional<gateway_address> gateway_address_of(const channel& one) noexcept;

struct gateway_stats {
  std::uint64_t connections = 0;                ///< to the gateway, ever
  std::uint64_t failed_attempts = 0;            ///< to connect to it, or to log in
  std::uint64_t dialled = 0;                    ///< virtual connections that our dials became
  std::uint64_t accepted = 0;                   ///< virtual connections that others dialled
  std::uint64_t turned_away = 0;                ///< closed at once: above max_arriving
  std::size_t open = 0;                         ///< virtual connections now
  std::size_t dialling = 0;                     ///< dials that wait
  std::size_t arriving = 0;                     ///< that nobody has accepted yet
  std::uint64_t resumed = 0;                    ///< times that the stream went on with another connection (`resume`)
  std::uint64_t held_up = 0;                    ///< times that reading stopped for one of them
  std::optional<options::duration> round_trip;  ///< to the gateway and back, as the last ping found
};

namespace detail {
class gateway_parts;
}

/// What clients and servers have in common. A handle; copies refer to the same. When the last copy goes, it is as
/// close(). Thread safety: the context's thread only. Handlers are called on it, never from inside a call of this class
/// (but for those of close()), and may call anything.
///
///     connecting --up--> up --lost--> waiting --> connecting ...     --close()--> closed   (channel_state)
///
/// A virtual connection is up from the beginning and carries whole messages, without kind and type. Its peer().address
/// is "server ID" or "client ID"; at a server that the gateway tells where clients come from (connect-address), that,
/// and `through` is the gateway. It ends in both
/// directions at once: when the other end has closed it (end_of_stream, after on_peer_end and after everything received
/// was taken), when the connection to the gateway is lost (its reason), or when this end closes it, after which nothing
/// more is received. A gateway confirms nothing, so messages_maybe_lost of its end counts all that was sent on it, and
/// only the report of one on which nothing was sent is clean. `half_close` and `async_close` wait until the kernel has
/// everything, `cut` does not.
class gateway_peer {
 public:
  gateway_peer() noexcept = default;
  explicit operator bool() const noexcept { return parts_ != nullptr; }

  /// A virtual connection to a remote. Completes with (error_code, channel): refused: nobody has that ID, or the
  /// gateway has reached a limit | timeout: no answer within dial_timeout; one that comes later is closed | closed: the
  /// connection to the gateway was lost meanwhile, or close() called | busy: max_dials wait | cancelled. Before the
  /// gateway is reached, and between two connections to it, a dial waits. Cancellable.
  /// @param remote  ID of a server for a client, ID of a client for a server
  template <class Token>
  auto async_dial(std::uint32_t remote, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, channel)>(
        [self = parts_, remote, ex = executor()](auto handler) {
          start_dial(*self, remote, detail::accept_completion(ex, std::move(handler)));
        },
        token);
  }

  /// Those who dial us, from now on and those who wait already. The channel is up.
  void on_channel(std::function<void(channel)> handler);
  /// The next one who dials us. Completes with (error_code, channel); several may wait. Cancellable.
  template <class Token>
  auto async_accept(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, channel)>(
        [self = parts_, ex = executor()](auto handler) {
          start_accept(*self, detail::accept_completion(ex, std::move(handler)));
        },
        token);
  }

  /// Completes with (error_code) when the gateway is reached (for a server: has taken the login), or with the reason
  /// why it never will be. Cancellable.
  template <class Token>
  auto async_wait_up(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = parts_, ex = executor()](auto handler) {
          start_wait_up(*self, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }

  /// The gateway is reached.
  void on_up(std::function<void(const peer_info&)> handler);
  /// The connection to the gateway is over, and with it every virtual connection: timeout: a ping was not answered |
  /// protocol, ...: the gateway broke it, and will not be tried again | auth: it ended right after a server's login,
  /// which is how it says that the key is wrong | else as of a channel.
  void on_down(std::function<void(const down_info&)> handler);
  /// An attempt to connect or to log in failed; with `reconnect`, the next one follows.
  void on_connect_failure(std::function<void(const error&)> handler);

  /// Ends everything at once; dials and accepts that wait complete with closed.
  void close();
  /// Sends what is queued, within link.close_timeout, then as close(). Virtual connections end with it. Completes with
  /// (error_code): nothing | why it could not all be sent.
  template <class Token>
  auto async_close(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = parts_, ex = executor()](auto handler) {
          start_close(self, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }

  [[nodiscard]] channel_state state() const;
  [[nodiscard]] gateway_stats stats() const;
  [[nodiscard]] const std::string& url()
      const;                               ///< without options; of a stream: "stream:" and who is at its other end
  [[nodiscard]] error last_error() const;  ///< why the last attempt or connection ended
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;

 protected:
  explicit gateway_peer(std::shared_ptr<detail::gateway_parts> parts) noexcept : parts_(std::move(parts)) {}

 private:
  static void start_dial(detail::gateway_parts& of, std::uint32_t remote, detail::accept_completion done);
  static void start_accept(detail::gateway_parts& of, detail::accept_completion done);
  static void start_wait_up(detail::gateway_parts& of, detail::send_completion done);
  static void start_close(const std::shared_ptr<detail::gateway_parts>& of, detail::send_completion done);
  std::shared_ptr<detail::gateway_parts> parts_;
};

/// Streams over connections of `below` as `with` says, for gateway_client::on and gateway_server::on; what is made with
/// `open` needs only gateway_options::resume. They only connect; a stream whose last connection is lost makes another
/// one by itself until it is closed. @param with  not `off`
[[nodiscard]] std::shared_ptr<stream_transport> resumable_streams(std::shared_ptr<stream_transport> below,
                                                                  const gateway_resume_options& with);

/// Dials servers; servers may dial it. The gateway gives it its ID.
class gateway_client : public gateway_peer {
 public:
  gateway_client() noexcept = default;
  /// Connects by itself; dials may wait at once.
  /// @return bad_url | unknown_scheme | unknown_option | bad_option, with a text that says what to write instead
  [[nodiscard]] static result<gateway_client> open(context& where, std::string_view url,
                                                   const gateway_options& with = {});
  /// On a stream of the caller's, which is connected and on which nothing was read, written or attached. Its end is the
  /// end of the client: `reconnect` has no effect. @return bad_option
  [[nodiscard]] static result<gateway_client> on(context& where, std::shared_ptr<stream> connected,
                                                 const gateway_options& with = {});

 private:
  using gateway_peer::gateway_peer;
};

/// Serves clients under an ID of its own, and may dial them.
class gateway_server : public gateway_peer {
 public:
  gateway_server() noexcept = default;
  /// @param id   what clients dial; a server that logs in later with the same ID takes the dials from then on
  /// @param key  that the gateway asks servers to know; any bytes
  /// @return as gateway_client::open
  [[nodiscard]] static result<gateway_server> open(context& where, std::string_view url, std::uint32_t id,
                                                   std::string_view key, const gateway_options& with = {});
  /// As gateway_client::on; the login is the first that is said on the stream.
  [[nodiscard]] static result<gateway_server> on(context& where, std::shared_ptr<stream> connected, std::uint32_t id,
                                                 std::string_view key, const gateway_options& with = {});

 private:
  using gateway_peer::gateway_peer;
};

}  // namespace ferry
