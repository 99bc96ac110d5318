#pragma once
/// Channels for programs without an event loop: every call returns when it is done. Includes no Boost.
///
/// Without a runner, I/O happens inside the calls, on the calling thread: nothing is received, answered or reconnected
/// between them, and a listener and its channels belong to one thread. With a runner, its thread does the I/O all the
/// time, and each object may be used by one sending and one receiving thread.
///
/// Every call comes twice: it throws ferry::failure, or it reports through a std::error_code (compare it with
/// ferry::errc; last_error() has the whole text).

#include <ferry/errc.hpp>
#include <ferry/message.hpp>
#include <ferry/options.hpp>
#include <ferry/runner.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace ferry::blocking {

using timeout = std::chrono::nanoseconds;
inline constexpr timeout k_for_ever = timeout::max();

namespace detail {
struct channel_state;
struct listener_state;
}  // namespace detail

/// What a closed channel left behind.
struct close_result {
  std::error_code reason;                 ///< empty: in order, the peer had read everything
  std::uint64_t messages_unsent = 0;      ///< still queued here
  std::uint64_t messages_maybe_lost = 0;  ///< handed to the kernel and not confirmed; an upper bound
};

/// Movable. Destroying it cuts the channel: call close() where what was sent last matters.
class channel {
 public:
  channel() noexcept;
  explicit channel(std::unique_ptr<detail::channel_state> state) noexcept;
  channel(channel&&) noexcept;
  channel& operator=(channel&&) noexcept;
  ~channel();

  /// Queues one whole message and hands what is queued to the kernel as far as it takes it. Waits while the queue is
  /// full.
  /// @throws failure: timeout (nothing was queued) | message_too_large | closed | the reason why the channel ended
  void send(bytes payload, message_kind kind = message_kind::binary, std::uint16_t type = 0,
            timeout limit = k_for_ever);
  void send(std::string_view text, timeout limit = k_for_ever) { send(as_bytes(text), message_kind::text, 0, limit); }
  void send(bytes payload, message_kind kind, std::uint16_t type, timeout limit, std::error_code& failed);

  /// The next message; nothing when the peer has ended in order.
  /// @throws failure: timeout | the reason why the channel ended
  [[nodiscard]] std::optional<message> receive(timeout limit = k_for_ever);
  /// `failed` is end_of_stream when the peer has ended in order.
  [[nodiscard]] std::optional<message> receive(timeout limit, std::error_code& failed);
  /// What is there already. @return nothing, and `failed` is would_block, if nothing is
  [[nodiscard]] std::optional<message> try_receive(std::error_code& failed);

  /// Waits until everything queued is accepted by the kernel.
  void flush(timeout limit = k_for_ever);
  void flush(timeout limit, std::error_code& failed);
  /// Ends our direction; the peer's messages can still be received.
  void half_close();
  /// Sends what is queued, ends, waits for the peer to end, at most options.close_timeout. Messages not received are
  /// dropped. Never throws for what the network does.
  close_result close();

  /// Readable (poll, select, epoll, Qt, libuv) from when something may be received until try_receive has returned
  /// would_block. Needs a runner: else nothing is received between calls. Owned by the channel. -1: none to be had.
  [[nodiscard]] int readiness_fd();
  [[nodiscard]] std::string peer() const;        ///< for people
  [[nodiscard]] std::string last_error() const;  ///< the whole text of the last failure

 private:
  std::unique_ptr<detail::channel_state> state_;
};

/// Movable. Destroying it stops listening; its channels live on.
class listener {
 public:
  explicit listener(std::unique_ptr<detail::listener_state> state) noexcept;
  listener(listener&&) noexcept;
  listener& operator=(listener&&) noexcept;
  ~listener();

  /// The next channel. @throws failure: timeout | closed
  [[nodiscard]] channel accept(timeout limit = k_for_ever);
  [[nodiscard]] channel accept(timeout limit, std::error_code& failed);
  /// The URL to connect to, with the port that was bound.
  [[nodiscard]] std::string url() const;

 private:
  std::unique_ptr<detail::listener_state> state_;
};

}  // namespace ferry::blocking

namespace ferry {

/// Listens already when it returns.
/// @param on  the runner that does the I/O, which must outlive the listener and its channels; null: the calls do
/// @throws failure: bad_url | unknown_scheme | unknown_option | bad_option | address_in_use | bad_address | permission
/// | ...
[[nodiscard]] blocking::listener listen(std::string_view url, const options& with = {}, runner* on = nullptr);
/// Connects, or waits for it as long as the options say (connect_timeout, reconnect).
/// @throws failure: as listen, and refused | timeout | not_found | ...
[[nodiscard]] blocking::channel connect(std::string_view url, const options& with = {}, runner* on = nullptr);

}  // namespace ferry
