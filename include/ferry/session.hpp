#pragma once
/// Persistent sessions: what a channel with `session=persistent` has besides what every channel has. Messages are
/// consumed, answered and counted in transactions, of which after a `kill -9` at any instruction either everything
/// happened or nothing. Source: docs/sessions.md, docs/delivery.md.
///
///     ferry::persistent_session s = ferry::persistent_session::of(channel).value();
///     ferry::transaction t = s.begin().value();
///     while (const auto order = t.receive()) {             // any number of messages
///       book(order->payload);
///       (void)t.send(answer);                              // any number of answers
///     }
///     (void)t.set_state(position);                         // up to 4 KiB of the application's own
///     (void)t.commit();                                    // all of it, or nothing
///
/// A message handler (channel::on_message) is a transaction by itself: its message, what it sends over the same channel
/// and persistent_session::set_state() become one step when it returns. A message that was taken with try_receive or
/// async_receive is consumed when it is handed out, and what is sent outside of a transaction is a step of its own.
///
/// Effects outside of the transaction (an e-mail, a row in somebody's database) are the application's affair: after a
/// crash a transaction that was not committed happens again.

#include <ferry/channel.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace ferry {

namespace detail {
class session_channel;
}

/// As of the moment of asking.
struct session_info {
  std::string own_name;
  std::string peer_name;                   ///< empty: no peer was met yet
  std::uint64_t session = 0;               ///< random; of both sides the same once they have met
  std::uint64_t epoch = 0;                 ///< of the newest login
  std::uint64_t consumed = 0;              ///< number of the next message to receive: everything before it was consumed
  std::uint64_t acknowledged = 0;          ///< number of our first message that the peer has not consumed
  std::uint64_t sent = 0;                  ///< number of our next message
  std::uint64_t unacknowledged_bytes = 0;  ///< of the ring, that those messages take
  std::uint64_t ring_bytes = 0;
  std::uint64_t max_message = 0;  ///< bytes of the largest payload
  /// Our messages that this channel's session had queued and gave up, as the two sides began anew: another peer, or one
  /// that has lost its files. Since the channel was made.
  std::uint64_t discarded = 0;
};

/// An open transaction of a channel's session; one at a time. While it is open, no message is handed to the channel's
/// handler, and what the context's thread sends over the channel joins it. Destroying it aborts it. Movable.
/// Thread safety: the context's thread.
class transaction {
 public:
  transaction() noexcept = default;
  transaction(transaction&&) noexcept = default;
  transaction& operator=(transaction&& other) noexcept {
    abort();
    of_ = std::move(other.of_);
    return *this;
  }
  ~transaction() { abort(); }

  /// Consumes the next message. The view is valid until the event loop turns, or the transaction ends.
  /// @return would_block (none is here) | reset (the connection was lost after this transaction had consumed from it:
  /// abort, what it consumed comes again) | closed | protocol, corrupt (the connection is about to end)
  [[nodiscard]] result<message_view> receive();
  /// Sends a message with the transaction. @param payload  copied
  /// @return full (no room in the ring together with what the transaction sends already) | message_too_large | closed
  [[nodiscard]] result<void> send(bytes payload, message_kind kind = message_kind::binary, std::uint16_t type = 0);
  [[nodiscard]] result<void> send(std::string_view text) { return send(as_bytes(text), message_kind::text); }
  /// Replaces the state of the application. @param to  at most 4096 bytes, copied @return message_too_large | closed
  [[nodiscard]] result<void> set_state(bytes to);
  /// Everything since begin() becomes one step. With `durable=disk` it survives the death of the machine from
  /// persistent_session::async_durable on, and nobody sees it before.
  /// @return reset (as receive(); nothing has happened) | full (other threads took the room; nothing has happened) |
  /// closed | misuse (no transaction is open)
  [[nodiscard]] result<void> commit();
  /// Nothing of it has happened; its messages come again.
  void abort() noexcept;
  explicit operator bool() const noexcept { return of_ != nullptr; }

 private:
  friend class persistent_session;
  explicit transaction(std::shared_ptr<detail::session_channel> of) noexcept : of_(std::move(of)) {}
  std::shared_ptr<detail::session_channel> of_;
};

/// The session of a channel. Copies refer to the same; it keeps the channel's memory, but does not keep it open.
/// Thread safety: the context's thread.
class persistent_session {
 public:
  /// @return misuse: the channel has no persistent session
  [[nodiscard]] static result<persistent_session> of(const channel& of);

  /// @return busy: another transaction is open, or a message handler runs, which is one | closed
  [[nodiscard]] result<transaction> begin();
  /// In a message handler, of its transaction; elsewhere a step of its own. @param to  at most 4096 bytes, copied
  /// @return message_too_large | busy: another transaction is open | closed
  [[nodiscard]] result<void> set_state(bytes to);
  /// In a message handler: nothing of its transaction has happened when it returns, and the message comes again: after
  /// channel::resume(), or where a message was refused with `full`, when there is room. @return misuse: elsewhere
  [[nodiscard]] result<void> give_back();
  /// The newest committed state; after a crash the one that survived. Valid until the next commit.
  [[nodiscard]] bytes state() const;
  [[nodiscard]] session_info info() const;

  /// Completes with (error_code) when a message can be received; closed if the channel ends first, whatever the reason
  /// (channel::last_error). Cancellable.
  template <class Token>
  auto async_wait_message(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = of_, ex = executor()](auto handler) {
          start_wait_message(*self, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }
  /// Completes with (error_code) when everything that was committed before is as durable as the channel's `durable`
  /// says; with the error of the disk if that fails, closed if the channel ends first.
  template <class Token>
  auto async_durable(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [self = of_, ex = executor()](auto handler) {
          start_wait_durable(*self, detail::send_completion(ex, std::move(handler)));
        },
        token);
  }
  [[nodiscard]] boost::asio::io_context::executor_type executor() const;

 private:
  explicit persistent_session(std::shared_ptr<detail::session_channel> of) noexcept : of_(std::move(of)) {}
  static void start_wait_message(detail::session_channel& of, detail::send_completion done);
  static void start_wait_durable(detail::session_channel& of, detail::send_completion done);
  std::shared_ptr<detail::session_channel> of_;
};

}  // namespace ferry
