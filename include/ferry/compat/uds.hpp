#pragma once
/// One-way messages over a Unix socket, as the uds-ipc programs speak: uds_writer connects and sends, uds_reader
/// listens and receives. Each message is a varint length and that many bytes; nothing else travels, and nothing comes
/// back. Guarantees, defaults and differences: docs/compat-uds.md.
///
/// Both live on an event loop: that of a ferry::runner (then every member may be called from any thread, and those that
/// wait block), or that of a context whose io_context the caller turns (then members are for the thread that turns it,
/// except write_message; those that wait turn it themselves, and are not for handlers). What they live on must outlive
/// them.

#include <ferry/detail/completion.hpp>
#include <ferry/error.hpp>
#include <ferry/options.hpp>
#include <ferry/service_manager.hpp>

#include <boost/asio/async_result.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ferry {

class context;
class runner;

/// Told what went wrong and where, on the event loop's thread: "dial", "write" or "connection" by a writer; "accept",
/// "read" or "handler" by a reader.
using uds_error_callback = std::function<void(const error&, std::string_view where)>;

// Writer ------------------------------------------------------------------------------------------

struct uds_writer_options {
  using duration = options::duration;
  std::size_t queue_messages = 10'000;               ///< at least 1; more: errc::full
  std::size_t queue_bytes = 512u << 20;              ///< the same limit in bytes; an empty queue takes any message
  std::size_t max_message = 1u << 30;                ///< bytes; the reader has a limit of its own
  duration write_timeout = std::chrono::seconds(1);  ///< data waits and the reader takes not a byte; 0: for ever
  duration dial_timeout = std::chrono::seconds(1);
  duration reconnect_delay = std::chrono::seconds(1);  ///< the first one; doubled each time
  duration reconnect_max = std::chrono::seconds(10);
  std::uint32_t max_send_attempts = 3;    ///< a message that was cut off this often is dropped; 0: never
  std::size_t write_buffer = 256u << 10;  ///< SO_SNDBUF
  uds_error_callback on_error;
};

struct uds_writer_metrics {
  std::uint64_t sent = 0;         ///< wholly accepted by the kernel
  std::uint64_t dropped = 0;      ///< refused because the queue was full, given up as poison, or discarded by stop()
  std::uint64_t failed = 0;       ///< tries to write that broke a connection or were broken by its end
  std::uint64_t queue_depth = 0;  ///< messages that wait; one being written counts
  std::uint64_t maybe_lost =
      0;  ///< upper bound: accepted by the kernel on connections whose reader did not end in order
};

/// How a writer ended.
struct uds_writer_report {
  error reason = errc::closed;           ///< errc::closed: in order. errc::timeout: the deadline came first
  std::uint64_t messages_discarded = 0;  ///< queued, and never wholly accepted by the kernel
  std::uint64_t messages_maybe_lost =
      0;  ///< accepted by the kernel on the last connection, whose reader did not end in order
  [[nodiscard]] bool clean() const noexcept {
    return reason == errc::closed && messages_discarded == 0 && messages_maybe_lost == 0;
  }
};

class uds_writer {
 public:
  /// Queues, but does not connect before start().
  /// Throws ferry::failure: bad_address (a path that is empty or longer than 107 bytes) | bad_option.
  uds_writer(runner& on, const std::string& path, uds_writer_options with = {});
  uds_writer(context& in, const std::string& path, uds_writer_options with = {});
  /// stop(0), without a report.
  ~uds_writer();
  uds_writer(const uds_writer&) = delete;
  uds_writer& operator=(const uds_writer&) = delete;

  /// Connects, and reconnects for ever. Idempotent; nothing after stop().
  void start();

  /// Queues a message; never blocks. An empty one is not sent, and that is a success.
  /// A message that a lost connection had not taken wholly is sent again, whole, before all others; what the kernel had
  /// taken and the reader had not read by then is lost. @return nothing | full, no_memory (dropped) | message_too_large
  /// | closed. Thread safety: any thread, from construction to destruction.
  [[nodiscard]] result<void> write_message(bytes message);
  [[nodiscard]] result<void> write_message(std::string_view message) { return write_message(as_bytes(message)); }

  /// Sends what is queued, ends the stream and waits until the reader has read it all, for `within` at most; then
  /// discards the rest. While the reader is away it goes on trying until then. Idempotent: later calls give the same
  /// report.
  uds_writer_report stop(options::duration within = std::chrono::seconds(5));
  /// The same, completing with (uds_writer_report). For the event loop's thread.
  template <class Token>
  auto async_stop(options::duration within, Token&& token) {
    return boost::asio::async_initiate<Token, void(uds_writer_report)>(
        [this, within](auto done) { begin_stop(within, stop_completion(executor(), std::move(done))); }, token);
  }

  [[nodiscard]] uds_writer_metrics metrics() const;
  [[nodiscard]] const std::string& path() const noexcept;

 private:
  using stop_completion = detail::completion<uds_writer_report>;
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;
  void begin_stop(options::duration within, stop_completion done);
  struct parts;
  std::shared_ptr<parts> parts_;
};

// Reader ------------------------------------------------------------------------------------------

struct uds_reader_options {
  using duration = options::duration;
  std::size_t max_message = 10u << 20;                     ///< bytes; a larger one ends its connection
  duration inactivity_timeout = std::chrono::seconds(10);  ///< without a byte: the connection is closed; 0: never
  std::size_t read_buffer = 256u << 10;                    ///< bytes per read; SO_RCVBUF, which Linux ignores here
  std::uint32_t max_accept_errors = 10;                    ///< 1 .. 63 in a row, 100 ms apart; one more: accepting ends
  bool deliver_empty = false;                              ///< hand empty messages to the handler
  uds_error_callback on_error;
  std::shared_ptr<service_manager> manager;  ///< ferry::systemd::service, for example; null: none
  options others;                            ///< socket_mode, socket_owner, allow_uids, max_connections, ...
};

struct uds_reader_metrics {
  std::uint64_t received = 0;  ///< messages that the handler took without an error
  std::uint64_t connections_accepted = 0;
  std::uint64_t errors = 0;  ///< handler errors, and connections that ended neither in order nor idle
  std::uint64_t accept_errors = 0;
  std::uint64_t open = 0;  ///< connections now
};

/// How a reader ended.
struct uds_reader_report {
  error reason = errc::closed;  ///< errc::closed: all that had come was handled. errc::timeout: the deadline came first
  std::uint64_t connections_cut = 0;  ///< at the deadline
  std::uint64_t bytes_unread =
      0;  ///< had come and were not handled: cut at the deadline, or part of an unfinished message
};

class uds_reader {
 public:
  /// @param message  valid during the call only. An error is counted and reported; the connection goes on. Must not
  /// throw.
  using handler = std::function<result<void>(bytes message)>;

  /// Throws ferry::failure: bad_address (a path that is empty or longer than 107 bytes) | bad_option | misuse (no
  /// handler).
  uds_reader(runner& on, handler handle, const std::string& path, uds_reader_options with = {});
  uds_reader(context& in, handler handle, const std::string& path, uds_reader_options with = {});
  /// stop(0), without a report.
  ~uds_reader();
  uds_reader(const uds_reader&) = delete;
  uds_reader& operator=(const uds_reader&) = delete;

  /// Listens when it returns: makes the socket's directory if it is missing, and replaces a socket on which nobody
  /// listens; anything else at the path is left alone. Takes the manager's socket instead if there is one. Idempotent.
  /// @return address_in_use | bad_address | permission | ... | closed (after stop).
  [[nodiscard]] result<void> start();

  /// Nothing new is accepted, neither connections nor bytes (the writers' next write fails); what had come before is
  /// still handled, for `within` at most. Then the socket file is removed, unless it is the manager's or somebody
  /// else's by now. A handler that is running is waited for. Idempotent: later calls give the same report.
  uds_reader_report stop(options::duration within = std::chrono::seconds(5));
  /// The same, completing with (uds_reader_report). For the event loop's thread.
  template <class Token>
  auto async_stop(options::duration within, Token&& token) {
    return boost::asio::async_initiate<Token, void(uds_reader_report)>(
        [this, within](auto done) { begin_stop(within, stop_completion(executor(), std::move(done))); }, token);
  }

  [[nodiscard]] uds_reader_metrics metrics() const;
  /// Where it listens; the manager may have moved it.
  [[nodiscard]] const std::string& path() const noexcept;

 private:
  using stop_completion = detail::completion<uds_reader_report>;
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;
  void begin_stop(options::duration within, stop_completion done);
  struct parts;
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry
