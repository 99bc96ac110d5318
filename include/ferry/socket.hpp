#pragma once
/// Sockets as BSD has them, over every transport: socket, bind, listen, accept, connect, send, recv, shutdown, close.
/// The same in C: <ferry/socket.h>. States, errors, options and what each call means on each transport:
/// docs/socket-api.md.

#include <ferry/buffer_pool.hpp>
#include <ferry/channel.hpp>
#include <ferry/error.hpp>
#include <ferry/log.hpp>
#include <ferry/message.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Stands for a socket as a descriptor does: counted up from 1 by its manager, never given out twice.
using socket_id = std::int32_t;

enum class socket_transport : std::uint8_t {
  ipc = 1,  ///< Unix socket
  tcp,
  tls,
  shm,     ///< shared memory; its address is a name
  inproc,  ///< inside of this process; its address is a name
  ws,      ///< WebSocket with the HTTP upgrade
  wss,     ///< the same over TLS
  raw_ws,  ///< WebSocket frames without the upgrade
  raw_wss,
  ws_ipc,  ///< WebSocket over a Unix socket
};

enum class address_family : std::uint8_t {
  unspecified,  ///< whatever the host is
  ipv4,
  ipv6,
  local,  ///< path counts, host and port do not
};

/// Where a socket listens, or connects to.
struct socket_address {
  std::string host;        ///< name, IPv4, IPv6 without brackets, "*" or empty: all (bind), loopback (connect)
  std::uint16_t port = 0;  ///< 0: any (bind only)
  address_family family = address_family::unspecified;
  std::string
      path;  ///< Unix socket: "/run/a.sock", "@abstract"; WebSocket: "/path" of the request; shm, inproc: the name
};

/// The diagram is in docs/socket-api.md.
enum class socket_state : std::uint8_t {
  init,
  bound,
  listening,
  connecting,
  handshaking,  ///< TLS or the HTTP upgrade
  open,
  closing,  ///< an end was said by either side, and the other one's is awaited
  closed,
  reconnecting,  ///< waits for the next attempt
};
[[nodiscard]] const char* to_string(socket_state state) noexcept;

/// What a caller can tell errors apart by: six domains of what goes wrong with a connection, and what is the caller's.
enum class socket_errno : std::uint8_t {
  none = 0,
  enet = 1,       ///< the network: ECONNRESET, ETIMEDOUT, EPIPE and the like; the errno stays readable
  eprotocol,      ///< the peer broke the protocol; close code 1002
  emask,          ///< a WebSocket frame with the wrong masking; close code 1002
  eoverflow,      ///< larger than max_frame or max_message, or the buffer pool is exhausted; close code 1009
  etimeout,       ///< a deadline passed: connecting, sending, receiving, idleness, heartbeat
  eclosed,        ///< ended in order, by either side
  eagain = 16,    ///< would block: nothing to receive, no room to send, no connection to accept
  einprogress,    ///< connecting goes on
  ealready,       ///< connecting goes on since an earlier call
  eisconn,        ///< connected already
  enotconn,       ///< not connected
  ebadf,          ///< no socket has this number
  einval,         ///< not in this state, or not with this value
  efault,         ///< a null pointer
  emsgsize,       ///< the message is larger than the buffer; it stays where it is
  eopnotsupp,     ///< this transport cannot do that
  eaddrinuse,     ///< somebody listens there already
  eaddrnotavail,  ///< the address cannot be used
  eacces,         ///< not allowed, by the system or by the peer's credentials
  emfile,         ///< a limit on sockets, connections or descriptors is reached
  enoprotoopt,    ///< no such option
  ecanceled,      ///< given up by the caller
};
/// "ENET", "EAGAIN" ...
[[nodiscard]] const char* to_string(socket_errno value) noexcept;
/// The one mapping: by the errno where a system call failed, else by the code.
[[nodiscard]] socket_errno socket_errno_of(const error& what) noexcept;
/// The WebSocket close code that says so: 1000, 1002, 1008, 1009; 1006 where none can be sent; 0 where no connection
/// ends by it.
[[nodiscard]] std::uint16_t close_code_of(socket_errno value) noexcept;

/// Options with numbers, for C and for those who like them; names are in docs/socket-api.md. A number never changes.
enum class socket_option : std::int32_t {
  nonblocking = 1,
  receive_timeout = 2,
  send_timeout = 3,
  receive_mode = 4,
  close_policy = 5,
  state = 6,
  error = 7,
  system_errno = 8,
  transport = 9,
  ping_interval = 20,
  ping_timeout = 21,
  ping_misses = 22,
  idle_policy = 23,
  connect_timeout = 30,
  write_timeout = 31,
  read_idle = 32,
  write_idle = 33,
  overall_idle = 34,
  close_timeout = 35,
  high_water_mark = 40,
  low_water_mark = 41,
  receive_high_water_mark = 42,
  receive_low_water_mark = 43,
  max_frame = 44,
  max_message = 45,
  tls_verify = 50,
  tls_ca = 51,
  tls_certificate = 52,
  tls_key = 53,
  tls_server_name = 54,
  tls_alpn = 55,
  tls_pin = 56,
  reconnect = 60,
  reconnect_base = 61,
  reconnect_factor = 62,
  reconnect_jitter = 63,
  reconnect_max = 64,
  reconnect_attempts = 65,
  no_delay = 70,
  keep_alive = 71,
  keep_alive_idle = 72,
  keep_alive_interval = 73,
  keep_alive_count = 74,
  send_buffer = 75,
  receive_buffer = 76,
  backlog = 80,
  max_connections = 81,
};

namespace socket_flags {
inline constexpr unsigned k_peek = 1;       ///< recv: leave it there
inline constexpr unsigned k_dont_wait = 2;  ///< as if the socket were non-blocking
inline constexpr unsigned k_more = 4;       ///< send: the message goes on with the next call
inline constexpr unsigned k_truncate = 8;   ///< recv: take what fits of a message and drop the rest
inline constexpr unsigned k_text = 16;      ///< send: the message is text
}  // namespace socket_flags

/// What recv gave.
struct socket_received {
  std::size_t size = 0;    ///< bytes written to the buffer
  std::size_t length = 0;  ///< of the whole message; of what was written when receiving as a stream
  message_kind kind = message_kind::binary;
  std::uint16_t type = 0;
  bool end = false;          ///< nothing comes any more: the peer has ended in order
  bool message_end = false;  ///< the last byte of a message is in the buffer; also for an empty message
};

namespace socket_events {
inline constexpr unsigned k_in = 1;     ///< recv or accept would not block
inline constexpr unsigned k_out = 4;    ///< send would not block
inline constexpr unsigned k_err = 8;    ///< it failed; getsockopt "error" tells why
inline constexpr unsigned k_hup = 16;   ///< the peer has ended
inline constexpr unsigned k_nval = 32;  ///< no such socket
}  // namespace socket_events

struct socket_poll {
  socket_id socket = 0;
  unsigned events = 0;   ///< k_in and k_out that are asked for
  unsigned revents = 0;  ///< what is so; k_err, k_hup and k_nval also unasked
};

enum class shutdown_what : std::uint8_t { receiving, sending, both };

/// One line of list().
struct socket_info {
  socket_id id = 0;
  socket_transport transport = socket_transport::tcp;
  socket_state state = socket_state::init;
};

struct socket_stats {
  channel_stats channel;  ///< zero for a listening one
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  ///< connections that a listening one did not take, above its limits or not allowed
};

struct socket_manager_stats {
  std::uint64_t created = 0;    ///< sockets ever, accepted ones too
  std::uint64_t closed = 0;     ///< of them
  std::uint64_t open = 0;       ///< that have a number now
  std::uint64_t lingering = 0;  ///< closed by their owner and still sending what was queued
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t tls_handshakes = 0;
  std::uint64_t tls_resumed = 0;
  std::uint64_t state_handler_throws = 0;  ///< what on_state's handler threw, and was dropped
  buffer_pool_stats buffers;
};

struct socket_manager_options {
  /// Three classes of 1, 4 and 16 KiB; larger messages get buffers of their own. At the limit send says eoverflow, and
  /// receiving pauses.
  buffer_pool_options buffers{.min_buffer = 1024, .max_buffer = 16 * 1024, .max_bytes = 256u << 20};
  std::size_t max_sockets = 65'536;  ///< with a number at a time; one more is errc::busy
  log_sink* log = nullptr;           ///< not owned; called from every thread that calls the manager, and by its own
  log_level level = log_level::info;
};

/// Makes sockets and knows them. Without run_in_background() everything progresses only inside of calls that wait (and,
/// for what is ready, of every other call): nothing is received, answered or reconnected between them.
/// Names are looked up on threads of their own ("ferry-names", at most four), which the first name starts; the
/// destructor waits for the look-ups under way.
/// Thread safety: every member from any thread. One lock; a thread that waits gives it to those that do not. A socket
/// that is closed under a waiting thread ends that wait with ebadf.
/// After fork() the child must not use or destroy it: each call answers errc::misuse, the destructor does nothing.
class socket_manager {
 public:
  using milliseconds = std::chrono::milliseconds;
  using state_handler = std::function<void(socket_id, socket_state from, socket_state to)>;

  explicit socket_manager(const socket_manager_options& with = {});
  ~socket_manager();  ///< cuts what is left; no other thread may be inside of a call
  socket_manager(const socket_manager&) = delete;
  socket_manager& operator=(const socket_manager&) = delete;

  /// One named thread ("ferry-sockets") lets everything progress without calls, until the manager goes. Once.
  result<void> run_in_background();
  /// Told every change of state, in order, outside of all locks, by the thread that made progress. It may call anything
  /// here; what it throws is logged (error), counted in stats() and dropped. Sockets that nobody has accepted yet are
  /// not told. One handler; set it before the sockets.
  void on_state(state_handler handler);

  // Life
  // ---------------------------------------------------------------------------------------------------------------
  [[nodiscard]] result<socket_id> socket(socket_transport transport);
  /// Takes note of the address, whose form is checked; listen() claims it.
  result<void> bind(socket_id id, const socket_address& at);
  /// A host that is a name is looked up first, at most connect_timeout, while other calls go on.
  /// @param backlog  connections that the kernel holds, 1 ..; 0: the option's default
  result<void> listen(socket_id id, std::uint32_t backlog = 0);
  /// The next connection, which is OPEN already; waits as recv does. `from` may be null.
  /// @return its number | errc::busy: there are max_sockets; at once, as accept(2) does, and no connection is lost
  [[nodiscard]] result<socket_id> accept(socket_id id, socket_address* from = nullptr);
  /// Waits until OPEN, at most connect_timeout (for each attempt with `reconnect`, and then at most send_timeout).
  /// @return nothing | EINPROGRESS (non-blocking: poll for k_out, then read "error") | why it failed
  result<void> connect(socket_id id, const socket_address& to);
  /// receiving: what has come and what comes is dropped. sending: what is queued goes out, then the peer reads the end.
  result<void> shutdown(socket_id id, shutdown_what what);
  /// The number is free at once. A blocking socket waits until what was queued is with the peer, at most close_timeout;
  /// a non-blocking one lingers. @return what was lost, if anything: the number is gone all the same
  result<void> close(socket_id id);
  /// All of them at once, without waiting. @return how many there were
  std::size_t close_all();

  // Data
  // ---------------------------------------------------------------------------------------------------------------
  /// One whole message (receive_mode=message), or bytes (stream), of which fewer may be taken.
  /// Waits for room at most send_timeout. @return bytes taken
  result<std::size_t> send(socket_id id, bytes payload, unsigned flags = 0);
  /// The next message, or bytes across messages. Waits at most receive_timeout.
  /// @return what came | eagain | etimeout | emsgsize (with the length in its text; nothing is lost) | why it ended
  result<socket_received> recv(socket_id id, mutable_bytes into, unsigned flags = 0);
  /// Waits until one of `wanted` is ready. @param limit  negative: for ever @return how many are
  result<std::size_t> poll(std::span<socket_poll> wanted, milliseconds limit);

  // Knowing
  // ------------------------------------------------------------------------------------------------------------
  [[nodiscard]] result<socket_address> getpeername(socket_id id);
  [[nodiscard]] result<socket_address> getsockname(socket_id id);
  [[nodiscard]] result<socket_state> state(socket_id id);
  [[nodiscard]] result<socket_stats> stats(socket_id id);
  [[nodiscard]] socket_manager_stats stats();
  [[nodiscard]] std::vector<socket_info> list();

  /// By name: those of docs/options.md, those of a socket itself, and their spellings in docs/socket-api.md.
  /// Options of the connection must be set before connect or listen.
  result<void> setsockopt(socket_id id, std::string_view name, std::string_view value);
  [[nodiscard]] result<std::string> getsockopt(socket_id id, std::string_view name);
  /// By number: milliseconds, bytes, counts, 0 and 1, the place of a choice.
  result<void> setsockopt(socket_id id, socket_option option, std::int64_t value);
  [[nodiscard]] result<std::int64_t> getsockopt_number(socket_id id, socket_option option);
  result<void> setsockopt(socket_id id, socket_option option, std::string_view value);
  [[nodiscard]] result<std::string> getsockopt(socket_id id, socket_option option);

 private:
  class parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace ferry
