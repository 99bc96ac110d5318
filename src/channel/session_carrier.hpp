#pragma once
/// What carries a persistent session while both sides are connected: a stream with a pump, or the memory that both map.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <memory>
#include <optional>

#include "net/greeting.hpp"

namespace ferry::detail {

class session_channel;

/// One connection. Outlives a call of the channel that ends it. On the context's thread, except where a member says
/// otherwise.
class session_carrier {
 public:
  session_carrier() = default;
  session_carrier(const session_carrier&) = delete;
  session_carrier& operator=(const session_carrier&) = delete;
  virtual ~session_carrier() = default;

  /// The logins fit: goes on from `peer_ack`, the number of the first of our messages that the peer does not have.
  /// @return corrupt: the peer's records, or ours, are damaged
  [[nodiscard]] virtual result<void> attach(std::uint64_t peer_ack) = 0;
  /// Reads and writes from now on.
  virtual void begin() = 0;

  /// With `spin`, looks for an input for some 100 ns. @return whether something is there
  [[nodiscard]] virtual bool look_a_little() noexcept { return false; }
  /// The oldest input that the open transaction has not consumed; valid until the event loop turns, or committed().
  /// `wrong` is set if the peer broke the rules.
  [[nodiscard]] virtual std::optional<message_view> next(std::optional<error>& wrong) = 0;
  /// The open transaction consumes what next() gave.
  virtual void advance() noexcept = 0;
  /// What was consumed is so for good.
  virtual void committed() noexcept = 0;
  /// The open transaction was given up: its inputs come again.
  virtual void rewind() noexcept = 0;

  /// Outputs have become visible. Any thread that has the session's lock.
  virtual void outputs() noexcept = 0;
  /// Our ring is full: the peer should say soon what it has consumed. Any thread that has the session's lock.
  virtual void wants_room() noexcept = 0;
  /// More may be acknowledged than before.
  virtual void settled() noexcept = 0;
  /// Messages are wanted again.
  virtual void read_on() = 0;
  /// Tells the peer that nothing follows; it has acknowledged all there was.
  [[nodiscard]] virtual result<void> end() = 0;
  /// Whether bytes wait for the kernel, in which the peer's end shows.
  [[nodiscard]] virtual bool write_blocked() const noexcept = 0;
  /// Bytes of the peer's that are no whole message.
  [[nodiscard]] virtual std::size_t pending() const noexcept = 0;
  /// Inputs that are here and were not consumed.
  struct backlog {
    std::size_t messages = 0;
    std::size_t payload = 0;  ///< bytes; over memory with what the ring adds to them
  };
  [[nodiscard]] virtual backlog waiting() const = 0;
  /// Closes the connection; nothing is called afterwards.
  virtual void close() noexcept = 0;
};

[[nodiscard]] std::shared_ptr<session_carrier> carry_by_stream(session_channel& session, net::greeting& connection);
[[nodiscard]] result<std::shared_ptr<session_carrier>> carry_by_memory(session_channel& session,
                                                                       net::greeting& connection,
                                                                       os::unique_fd peer_ring, bool peer_has_barriers);

}  // namespace ferry::detail
