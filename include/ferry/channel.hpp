#pragma once
/// Channels: a two-way, ordered flow of messages between two processes, whatever carries it.

#include <ferry/context.hpp>
#include <ferry/detail/channel_front.hpp>
#include <ferry/detail/completion.hpp>
#include <ferry/error.hpp>
#include <ferry/message.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <any>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// connecting --> up --> (lost) --> waiting --> connecting ...    up --> closing --> closed
enum class channel_state : std::uint8_t {
  connecting,  ///< an attempt is under way; messages queue
  up,          ///< messages flow
  waiting,     ///< the connection was lost or could not be made; the next attempt comes after a delay
  closing,     ///< sends what is queued, then waits for the peer to end
  closed,      ///< over; for good
};
[[nodiscard]] const char* to_string(channel_state state) noexcept;

/// How far an attempt to connect is.
enum class attempt_step : std::uint8_t {
  again,      ///< another attempt begins, after the first one
  handshake,  ///< what carries the bytes is there, and a handshake on top (TLS, HTTP) begins
};

/// The end of one connection; every `up` is followed by exactly one `down`.
struct down_info {
  error reason = errc::closed;
  /// Upper bound of what was lost: messages and bytes handed to the kernel on this connection and not confirmed by the
  /// peer having ended in order after us. 0: nothing was lost.
  std::uint64_t messages_maybe_lost = 0;
  std::uint64_t bytes_maybe_lost = 0;
  bool will_reconnect = false;
  /// Came from the peer and were never delivered: a part of a message, or what was still to be read when this end was
  /// cut.
  std::uint64_t bytes_unread = 0;
};

/// What a closed channel left behind.
struct close_report {
  error reason = errc::closed;        ///< errc::closed: in order, the peer had read everything
  std::uint64_t messages_unsent = 0;  ///< accepted by try_send, never handed to the kernel
  std::uint64_t bytes_unsent = 0;
  std::uint64_t messages_maybe_lost = 0;  ///< as in down_info, of the last connection
  [[nodiscard]] bool clean() const noexcept {
    return reason == errc::closed && messages_unsent == 0 && messages_maybe_lost == 0;
  }
};

/// Counts since the channel was made. Bytes are payload bytes.
struct channel_stats {
  std::uint64_t messages_sent = 0;  ///< wholly handed to the kernel
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_sent = 0;       ///< on the wire, framing included
  std::uint64_t bytes_received = 0;   ///< on the wire, framing included
  std::uint64_t writes = 0;           ///< system calls
  std::uint64_t reads = 0;            ///< system calls
  std::uint64_t connections = 0;      ///< times it was up
  std::uint64_t failed_attempts = 0;  ///< connects that failed
  std::uint64_t messages_maybe_lost = 0;
  std::uint64_t messages_poisoned = 0;  ///< dropped after max_send_attempts
  std::uint64_t failed_sends = 0;  ///< times that a connection broke, or was given up, while a message was being sent
  std::uint64_t send_queue_messages = 0;
  std::uint64_t send_queue_bytes = 0;
  std::uint64_t receive_queue_messages = 0;
  std::uint64_t receive_queue_bytes = 0;
  std::optional<options::duration> round_trip;  ///< to the peer and back, as the last ping found; WebSocket only
  std::uint32_t pings_missed = 0;               ///< without an answer, in a row
};

namespace detail {
class channel_impl;
using send_completion = completion<error_code>;
using receive_completion = completion<error_code, message>;
using close_completion = completion<error_code, close_report>;
}  // namespace detail

/// A handle; copies refer to the same channel. When the last copy goes, the channel is cut as by cut().
/// Thread safety: the context's thread only, except try_send with `senders=many`.
/// Handlers are called on the context's thread, never from inside a call of this class, and are let go of when the
/// channel is closed. They may call anything here. What they throw leaves the event loop as the next thing that it
/// does, not from the middle of its work, and the channel goes on when that is turned again: the message of on_message
/// was delivered, and no other one is before; in a persistent session its transaction has not happened, and it comes
/// again.
class channel {
 public:
  channel() noexcept = default;
  explicit channel(std::shared_ptr<detail::channel_front> impl) noexcept : impl_(std::move(impl)) {}

  /// Makes a channel that connects by itself, reconnecting as the options say; messages may be queued at once.
  /// Options in the URL come on top of `with`.
  /// @return bad_url | unknown_scheme | unknown_option | bad_option
  [[nodiscard]] static result<channel> open(context& where, std::string_view url, const options& with = {});
  /// The same for a URL taken apart, but the channel only queues until connect() is called.
  [[nodiscard]] static result<channel> prepare(context& where, const endpoint& to, const options& with = {});
  /// Starts a channel that was only prepared; nothing otherwise.
  void connect();

  explicit operator bool() const noexcept { return impl_ != nullptr; }

  // Sending
  // ------------------------------------------------------------------------------------------------------------

  /// Queues one whole message; never blocks, splits or merges messages. Sent with others in one batch, at the latest
  /// when the context's thread turns next.
  /// @param payload  0 .. options.max_message bytes; copied, free on return
  /// @param type     other than 0: only where the transport carries it
  /// @return nothing | full (wait for on_drain) | closed | message_too_large | unsupported | no_memory.
  /// Thread safety: any thread with `senders=many`, else the context's.
  [[nodiscard]] result<void> try_send(bytes payload, message_kind kind = message_kind::binary, std::uint16_t type = 0) {
    if (type == 0 && (impl_->straight.try_push(payload, kind) || impl_->first_answer.try_keep(payload, kind)))
        [[likely]]
      return {};
    return try_send_anyhow({payload, kind, type});
  }
  [[nodiscard]] result<void> try_send(std::string_view text) { return try_send(as_bytes(text), message_kind::text); }

  /// The next part of a message, or its beginning; with `more`, further parts follow. The message is the peer's once
  /// the last part has come, or part by part if it wants that (`ws_delivery=pieces`). No other message can be sent
  /// meanwhile; try_send sends a last part. `kind` counts at the beginning.
  /// @return as try_send; reset: the beginning went with a lost connection, and so does this part; the next one begins
  ///         a message | unsupported: the transport carries no parts (traits()), or `senders=many`
  [[nodiscard]] result<void> try_send_part(bytes payload, bool more, message_kind kind = message_kind::binary) {
    if (more && !traits().carries_parts) return errc::unsupported;
    return try_send_anyhow({payload, kind, 0, true, more});
  }

  /// As try_send, but waits for room. `payload` is copied when there is room and must stay valid until completion.
  /// Completes with (error_code); cancellable while it waits.
  template <class Token>
  auto async_send(bytes payload, message_kind kind, std::uint16_t type, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = impl_, payload, kind, type, ex = executor()](auto handler) {
          start_send(*self, message_view{payload, kind, type}, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }
  template <class Token>
  auto async_send(bytes payload, Token&& token) {
    return async_send(payload, message_kind::binary, 0, std::forward<Token>(token));
  }

  /// As try_send_part, but waits for room, in one line with async_send. `payload` must stay valid until completion. A
  /// part whose message's beginning went with a lost connection completes with reset, and so do the parts of that
  /// message that wait behind it, up to its last one. Completes with (error_code); cancellable while it waits: the
  /// message then goes on without this part.
  template <class Token>
  auto async_send_part(bytes payload, bool more, message_kind kind, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = impl_, payload, more, kind, ex = executor()](auto handler) {
          start_send(*self, message_view{payload, kind, 0, true, more},
                     detail::send_completion(ex, std::move(handler)));
        },
        token);
  }

  /// Completes with (error_code) when everything queued before is accepted by the kernel; closed or the reason if the
  /// channel ends first. While a reconnecting channel is down, it waits.
  template <class Token>
  auto async_flush(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = impl_, ex = executor()](auto handler) {
          start_flush(*self, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }

  // Receiving: on_message, or async_receive and try_receive
  // ------------------------------------------------------------

  /// Every message from now on, as a view that is valid during the call. Messages already queued come first.
  void on_message(std::function<void(const message_view&)> handler);
  /// The oldest queued message. @return would_block | why the channel ended, once the queue is empty.
  [[nodiscard]] result<message> try_receive();
  /// Messages that try_receive would give now.
  [[nodiscard]] std::size_t messages_waiting() const;
  /// Completes with (error_code, message). Several may wait; they are served in order. Cancellable.
  template <class Token>
  auto async_receive(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, message)>(
        [self = impl_, ex = executor()](auto handler) {
          start_receive(*self, detail::receive_completion(ex, std::move(handler)));
        },
        token);
  }
  /// Stops taking bytes from the peer, who then feels back-pressure; without it, reading also pauses while the receive
  /// queue is above its mark. No message is delivered between pause() and resume().
  void pause();
  void resume();

  // Life
  // ---------------------------------------------------------------------------------------------------------------

  /// The peer is there. Called at once (by the event loop) if the channel is up when the handler is set.
  void on_up(std::function<void(const peer_info&)> handler);
  void on_down(std::function<void(const down_info&)> handler);
  /// The send queue fell below its low-water mark after try_send had returned full.
  void on_drain(std::function<void()> handler);
  /// The peer has ended its direction in order, and everything it sent was delivered: to on_message, or to somebody who
  /// has asked for one more message since (so that the last one can still be answered). Without this handler our
  /// direction ends too, once what is queued is sent; with it, it stays open until half_close() or async_close(). Not
  /// called where the end counts as a lost connection (`reconnect`), or when our direction has ended before.
  void on_peer_end(std::function<void()> handler);
  /// An attempt to connect failed; with `reconnect`, the next one follows. Of the accepted end of a session: its peer
  /// has not come back in `session_wait`, or at another event loop, and the channel ends.
  void on_connect_failure(std::function<void(const error&)> handler);
  /// An attempt to connect has come a step further; its outcome is told by on_up or on_connect_failure.
  void on_attempt(std::function<void(attempt_step)> handler);
  /// A message was given up: it was cut off max_send_attempts times. The handler sees it before it goes.
  void on_poisoned(std::function<void(bytes frame)> handler);

  /// Completes with (error_code) when the channel is up, or with the reason why it never will be.
  template <class Token>
  auto async_wait_up(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = impl_, ex = executor()](auto handler) {
          start_wait_up(*self, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }
  /// Sends what is queued, then ends our direction; receiving goes on until the peer ends too.
  void half_close();
  /// Takes nothing more from the peer: what has come already is delivered, then the connection ends as if the peer had
  /// ended it. On a Unix socket the peer's writes fail from then on. @return closed (not up) | unsupported (the stream
  /// cannot).
  result<void> end_receiving();
  /// half_close, then waits until the peer ends, at most close_timeout in all. Completes with (error_code,
  /// close_report); the code is empty if the report is clean. Received messages are delivered meanwhile. Cancellable;
  /// closing goes on.
  template <class Token>
  auto async_close(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, close_report)>(
        [self = impl_, ex = executor()](auto handler) {
          start_close(*self, detail::close_completion(ex, std::move(handler)), {});
        },
        token);
  }
  /// The same, with a time limit of its own instead of close_timeout. @param within  more than 0
  template <class Token>
  auto async_close(options::duration within, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, close_report)>(
        [self = impl_, within, ex = executor()](auto handler) {
          start_close(*self, detail::close_completion(ex, std::move(handler)), within);
        },
        token);
  }
  /// What the peer is told when this end closes or is cut: the code and the reason of a WebSocket's Close. @param code
  /// 1000 to 1003, 1007 to 1014, 3000 to 4999 @param reason  at most 123 bytes of UTF-8
  /// @return unsupported: the transport has no such thing | misuse: a code or reason that may not be sent
  result<void> set_close_note(std::uint16_t code, std::string_view reason = {});
  /// What the peer said when it ended the present or the last connection; nothing: it has not, or cannot.
  [[nodiscard]] std::optional<close_note> peer_close_note() const;
  /// Ends at once; what is queued is dropped. Waiting operations complete with errc::closed.
  void cut();

  [[nodiscard]] channel_state state() const;
  [[nodiscard]] channel_stats stats() const;
  [[nodiscard]] peer_info peer() const;  ///< of the present or the last connection
  /// Of this end of the present connection, written like the peer's; empty: unnamed, not known, or not connected.
  [[nodiscard]] std::string local_address() const;
  [[nodiscard]] error last_error() const;  ///< why the last attempt or connection ended
  [[nodiscard]] transport_traits traits() const;
  [[nodiscard]] const options& settings() const;
  [[nodiscard]] const std::string& url() const;  ///< without options
  /// Anything of the caller's; lives as long as the channel.
  [[nodiscard]] std::any& user_data();
  /// A descriptor for poll, select or epoll of another event loop: readable from when a message waits (or the channel
  /// has ended) until try_receive has returned would_block. Somebody must turn the io_context: a ferry::runner, or that
  /// loop. Owned by the channel. @return -1 with on_message set, or if no descriptor is left.
  [[nodiscard]] int readiness_fd();
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;

  /// For the headers beside this one.
  [[nodiscard]] const std::shared_ptr<detail::channel_front>& shared_impl() const noexcept { return impl_; }

 private:
  [[nodiscard]] result<void> try_send_anyhow(const message_view& m);
  static void start_send(detail::channel_front& impl, message_view what, detail::send_completion done);
  static void start_flush(detail::channel_front& impl, detail::send_completion done);
  static void start_receive(detail::channel_front& impl, detail::receive_completion done);
  static void start_wait_up(detail::channel_front& impl, detail::send_completion done);
  static void start_close(detail::channel_front& impl, detail::close_completion done,
                          std::optional<options::duration> within);
  std::shared_ptr<detail::channel_front> impl_;
};

/// Connects. Completes with (error_code, channel) when the channel is up, or with the reason; the channel is given in
/// both cases, so that last_error() tells the whole text. Cancellable; the channel that is given then still connects,
/// unless it is let go of.
template <class Token>
auto async_connect(context& where, std::string_view url, const options& with, Token&& token) {
  return boost::asio::async_initiate<Token, void(error_code, channel)>(
      [&where, url = std::string(url), with](auto handler) {
        auto made = channel::open(where, url, with);
        const auto slot = boost::asio::get_associated_cancellation_slot(handler);
        detail::completion<error_code, channel> done(where.io().get_executor(), std::move(handler));
        if (!made) return done(made.error().code(), channel{});
        channel opened = *made;
        opened.async_wait_up(boost::asio::bind_cancellation_slot(
            slot, [opened, done = std::move(done)](error_code failed) mutable { done(failed, std::move(opened)); }));
      },
      token);
}

}  // namespace ferry
