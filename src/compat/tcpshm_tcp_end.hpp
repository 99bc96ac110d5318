#pragma once
/// One end of a TCP connection that carries tcpshm's messages: what came in whole, heartbeats, silence. No system call
/// but one recv or send at a time. One thread at a time uses it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codec/tcpshm_messages.hpp"
#include "compat/tcpshm_link.hpp"
#include "compat/tcpshm_time.hpp"
#include "os/unique_fd.hpp"

namespace ferry::compat::tcpshm {

class tcp_end {
 public:
  using header = codec::tcpshm::header;

  explicit tcp_end(const settings& how) noexcept : how_(&how) {}

  void open(os::unique_fd fd, std::int64_t now);
  /// What front() gave stays where it is.
  void close() noexcept;
  /// Closed: gives the buffer back.
  void forget() noexcept { buffer_ = {}; }
  /// Set once the connection is of no more use; the descriptor is still open.
  [[nodiscard]] const std::optional<ending>& over() const noexcept { return over_; }
  void end(std::string reason, int system_errno = 0);

  /// Before anything else in a poll.
  void tick(std::int64_t now) noexcept { now_ = time_.passed(now); }
  /// Receives once, unless the buffer is full of messages. Heartbeats are taken out.
  /// @param on_header  called with each header that has come, heartbeats too; false: the peer must not say this
  template <class OnHeader>
  void receive(OnHeader&& on_header) {
    if (over_) return;
    fill();
    std::size_t next = scanned_;
    for (auto found = scan(next); found && on_header(*found);) found = scan(next);
    close_gap(next);
  }
  struct arrived {
    codec::tcpshm::header header;
    std::byte* at = nullptr;  ///< of the header, aligned to 8
  };
  /// The oldest whole message; the same until drop(). It is valid until receive().
  [[nodiscard]] std::optional<arrived> front() const noexcept;
  void drop() noexcept;
  /// Whole messages that were not dropped, and bytes of their bodies.
  [[nodiscard]] ring::tcpshm_backlog waiting() const noexcept;

  /// @return how much of it is on its way; less than all: the rest has to wait
  [[nodiscard]] std::size_t send(bytes what);
  /// At a moment when no message is half sent. @param ack  what the peer is told
  void heartbeat(std::uint32_t ack);
  [[nodiscard]] bool heartbeat_due() const noexcept {
    return has_passed(last_sent_, now_, how_->with.heartbeat_interval);
  }
  /// At the end of a poll: ends it if the peer has been silent for too long, or has gone and what came before was
  /// taken.
  /// @param left_lying  front() was shown to the application, which did not take it
  void check_peer(bool left_lying);

 private:
  void fill();
  [[nodiscard]] bool make_room();
  /// The next header, if its message is whole; a message joins those that are. @param next  where it lies
  [[nodiscard]] std::optional<header> scan(std::size_t& next);
  /// scanned_ .. next: heartbeats.
  void close_gap(std::size_t next) noexcept;
  void send_owed();

  const settings* how_;
  os::unique_fd fd_;
  std::optional<ending> over_;
  std::optional<ending> gone_;  // the peer has; messages may still lie here
  user_time time_;
  std::uint64_t now_ = 0, last_sent_ = 0, last_received_ = 0;
  // begin_ .. scanned_: whole messages; .. end_: what comes. All but end_ are multiples of 8.
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0, scanned_ = 0, end_ = 0;
  std::vector<std::byte> owed_;  // the rest of a heartbeat that was cut
};

}  // namespace ferry::compat::tcpshm
