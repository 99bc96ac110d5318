#pragma once
/// One end of a TCP connection that carries a session: frames in, frames out, questions and silence. No system call but
/// one recv, or sends, at a time. One thread at a time uses it. Source: docs/sessions.md.
///
/// What came: [ passed: consumed by the open transaction | seen: whole frames, heard | incomplete ]

#include <cstdint>
#include <optional>
#include <vector>

#include "channel/inbound.hpp"
#include "codec/session_frame.hpp"
#include "compat/tcpshm_link.hpp"
#include "compat/tcpshm_time.hpp"
#include "session/stream_talk.hpp"

namespace ferry::compat::tcpshm {

class session_stream {
 public:
  explicit session_stream(const settings& how);

  // Between connections.

  /// After the logins. @param peer_ack  from the peer's
  [[nodiscard]] result<void> attach(session::persistent_session& s, std::uint64_t peer_ack);
  void open(os::unique_fd fd, std::int64_t now);
  /// What front() gave stays where it is.
  void close() noexcept;
  /// Closed: gives the buffers back.
  void forget() noexcept;

  // While it is open.

  /// Set once the connection is of no more use; the descriptor is still open.
  [[nodiscard]] const std::optional<ending>& over() const noexcept { return over_; }
  void end(std::string reason, int system_errno = 0);

  /// Before anything else in a poll.
  void tick(std::int64_t now) noexcept { now_ = time_.passed(now); }
  /// Receives once, unless it holds enough that nobody has taken, and hears what the frames say.
  void receive();
  /// The oldest message that the open transaction has not consumed; the same until pop(). Valid until receive().
  [[nodiscard]] std::optional<message_view> front();
  void pop() noexcept;
  /// What was consumed is so for good.
  void committed() noexcept;
  /// The open transaction was given up: its messages come again.
  void rewind() noexcept { passed_ = held_ = 0; }
  /// Sends what waits.
  void flush(session::persistent_session& s);
  /// Our ring is full: the peer is asked to say what it has consumed.
  void want_room() noexcept { wants_answer_ = wants_answer_ || !asked_; }
  /// At the end of a poll, with nothing half consumed: acknowledges, asks, and ends it if the peer is gone or done.
  /// @param left_lying  front() was shown to the application, which did not take it
  void tend(session::persistent_session& s, bool left_lying);

 private:
  [[nodiscard]] bool has_room() const noexcept { return in_.pending() < most_pending_; }
  void fill();
  void say(codec::session_frame_kind what, session::persistent_session& s);
  [[nodiscard]] mutable_bytes buffer() const noexcept { return {out_.data(), out_.capacity()}; }
  [[nodiscard]] bool make_room();
  void end_with_peer(session::persistent_session& s);
  void check_peer(bool left_lying);
  void settle();

  const settings* how_;
  const std::size_t most_pending_;
  os::unique_fd fd_;
  std::optional<ending> over_;
  std::optional<ending> gone_;  // the peer has; messages may still lie here
  user_time time_;
  std::uint64_t now_ = 0, last_sent_ = 0, last_received_ = 0;

  inbound<codec::session_framing> in_;
  std::size_t passed_ = 0, seen_ = 0, next_size_ = 0;
  std::size_t held_ = 0;                // messages that the open transaction has consumed
  std::vector<std::uint64_t> aligned_;  // of a message that does not lie at a multiple of 8
  bool quiet_ = false;                  // nothing came in this poll
  int quiet_polls_ = 0;

  session::stream_talk talk_;
  pooled_buffer out_;
  bool wants_answer_ = false;
  bool asked_ = false;  // and nothing has come since
};

}  // namespace ferry::compat::tcpshm
