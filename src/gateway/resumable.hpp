#pragma once
/// Streams that outlive their connections, where they arrive: who comes again within the wait goes on where it was.
/// Source: docs/gateway.md.
///
///     handshake --new--> up --the connection breaks--> waiting --somebody comes again--> up
///                                                      waiting --the wait is over, or said to be over--> broken

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <cstdint>
#include <memory>

#include "base/time.hpp"
#include "session/snet_stream.hpp"

namespace ferry::gateway {

enum class resume_kind : std::uint8_t {
  off,
  snet,   ///< the compatible kind, which protects nothing
  token,  ///< by a random token, over TLS 1.3
};

struct resume_settings {
  resume_kind kind = resume_kind::off;
  session::snet_options stream;
  duration handshake_timeout = std::chrono::seconds(10);
  duration wait = std::chrono::seconds(60);  ///< how long a stream without a connection is kept
  friend bool operator==(const resume_settings&, const resume_settings&) = default;
};

struct resume_counts {
  std::uint64_t made = 0;      ///< streams
  std::uint64_t broken = 0;    ///< connections of them that were lost
  std::uint64_t resumed = 0;   ///< and replaced
  std::uint64_t refused = 0;   ///< handshakes that failed
  std::uint64_t given_up = 0;  ///< streams that nobody came again for
  session::history_room histories;
};

/// Whatever goes on with another connection when it has lost one.
class resuming {
 public:
  /// Gives up the connection for another one, or does not wait any longer before it tries to get one. @return false: it
  /// is broken, or closed
  virtual bool renew() noexcept = 0;
  /// How often it has gone on so.
  [[nodiscard]] virtual std::uint64_t resumed() const noexcept = 0;

 protected:
  ~resuming() = default;
};

/// What these streams are besides streams.
class resumable : public resuming {
 public:
  [[nodiscard]] virtual bool is_waiting() const noexcept = 0;

 protected:
  ~resumable() = default;
};

/// The streams that arrive at `from`, as resumable ones. A stream that waits takes and gives nothing (would_block); one
/// that nobody comes again for breaks: timeout, or what the last handshake for it found out.
/// @param from  is closed with this acceptor; what streams it has given away can be resumed no more then
/// @return `from` itself with resume_kind::off
[[nodiscard]] std::unique_ptr<acceptor> accept_resumable(context& where, std::unique_ptr<acceptor> from,
                                                         const resume_settings& with,
                                                         std::shared_ptr<resume_counts> counted);

}  // namespace ferry::gateway
