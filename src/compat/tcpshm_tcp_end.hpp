#pragma once
/// One end of a TCP connection that carries tcpshm's messages: what came in whole, heartbeats, silence. No system call
/// but one recv or send at a time. One thread at a time uses it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codec/tcpshm_messages.hpp"
#include "compat/tcpshm_settings.hpp"
#include "os/unique_fd.hpp"

namespace ferry::compat::tcpshm {

/// Why a connection is over.
struct ending {
  std::string reason;
  int system_errno = 0;
};

class tcp_end {
 public:
  explicit tcp_end(const settings& how) noexcept : how_(&how) {}

  void open(os::unique_fd fd, std::int64_t now);
  /// What front() gave stays where it is.
  void close() noexcept;
  /// Closed: gives the buffer back.
  void forget() noexcept { buffer_ = {}; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Set once the connection is of no more use; the descriptor is still open.
  [[nodiscard]] const std::optional<ending>& over() const noexcept { return over_; }
  void end(std::string reason, int system_errno = 0);

  /// Before anything else in a poll.
  void tick(std::int64_t now) noexcept { now_ = now; }
  /// Receives once, unless a whole message waits.
  void receive();
  struct arrived {
    codec::tcpshm::header header;
    std::byte* at = nullptr;  ///< of the header, aligned to 8
  };
  /// The oldest whole message, heartbeats too; the same until drop(). It is valid until receive(), with an ending that
  /// is found too.
  [[nodiscard]] const arrived* front();
  void drop() noexcept;

  /// @return how much of it is on its way; less than all: the rest has to wait
  [[nodiscard]] std::size_t send(bytes what);
  /// At a moment when no message is half sent. @param ack  what the peer is told
  void heartbeat(std::uint32_t ack);
  [[nodiscard]] bool heartbeat_due() const noexcept { return now_ - last_sent_ >= how_->with.heartbeat_interval; }
  /// Ends it if the peer has been silent for too long.
  void check_silence();

 private:
  [[nodiscard]] std::size_t wanted() const noexcept;
  void make_room();
  void send_owed();

  const settings* how_;
  os::unique_fd fd_;
  std::optional<ending> over_;
  std::int64_t now_ = 0, last_sent_ = 0, last_received_ = 0;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what has come and was not dropped; begin_ is a multiple of 8
  std::optional<arrived> front_;
  std::vector<std::byte> owed_;  // the rest of a heartbeat that was cut
};

}  // namespace ferry::compat::tcpshm
