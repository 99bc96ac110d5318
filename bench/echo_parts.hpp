#pragma once
/// The two ends of an echo, as child bodies: measure_echo joins them directly, measure_relay puts a relay between, and
/// measure_echo_load has somebody else's server at the other end.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bench/child.hpp"
#include "os/unique_fd.hpp"

namespace ferry::bench {

inline constexpr std::size_t k_echo_size = 64;
/// At least what is in flight on one connection, so that one read gets all of it.
inline constexpr std::size_t k_echo_buffer = 64 << 10;

enum class echo_phase : int { warming_up, timed, over };

struct echo_tally {
  std::uint64_t timed;  ///< messages back within `seconds`
  std::uint64_t total;  ///< and with those of the warm-up, and those that were in flight at the end
  double seconds;
  std::atomic<echo_phase> phase;  ///< for who counts at the other end
};

/// A stream of equally long messages that repeats after k_echo_period of them.
class echo_stream {
 public:
  /// @param bytes  k_echo_period messages @param window  bytes that are looked at or written at once, at most
  echo_stream(std::vector<std::byte> bytes, std::size_t window);
  /// At least `window` bytes of what the stream holds from a position on.
  [[nodiscard]] const std::byte* from(std::uint64_t position) const noexcept {
    return bytes_.data() + position % period_;
  }
  [[nodiscard]] std::size_t message_size() const noexcept;

 private:
  std::vector<std::byte> bytes_;
  std::size_t period_;
};

inline constexpr std::size_t k_echo_period = 64;

/// What the load says, and what must come back, byte by byte.
struct echo_wire {
  echo_stream questions;
  echo_stream answers;
};
/// The i-th message's payload.
[[nodiscard]] std::vector<std::byte> echo_payload(std::size_t i, std::size_t size);
/// Writes a message, framed in one way, behind what is there.
using echo_framer = std::function<void(std::vector<std::byte>& to, std::span<const std::byte> payload)>;
/// @param in_flight  on one connection, at most
[[nodiscard]] echo_wire make_echo_wire(std::size_t size, std::size_t in_flight, const echo_framer& question,
                                       const echo_framer& answer);
/// Without any framing.
[[nodiscard]] echo_wire unframed_echo(std::size_t size, std::size_t in_flight);
/// A client's WebSocket frames: binary, whole, masked; and a server's.
[[nodiscard]] echo_wire websocket_echo(std::size_t size, std::size_t in_flight);

/// An epoll of sockets, each made non-blocking and known by its index. Level-triggered, for reading.
class poller {
 public:
  poller(child& me, const std::vector<os::unique_fd>& sockets);
  /// Blocks until some are readable (or at their end); their indices.
  [[nodiscard]] std::span<const std::uint32_t> wait() noexcept;

 private:
  child& me_;
  os::unique_fd epoll_;
  std::vector<std::uint32_t> ready_;
};

/// Reads what is there; nothing is an error, since the poller said that something is. @return 0 at the end of the
/// stream
[[nodiscard]] std::size_t read_ready(child& me, int fd, std::byte* into, std::size_t room) noexcept;
/// Writes all at once: what is in flight is far below a socket buffer.
void write_ready(child& me, int fd, const std::byte* from, std::size_t size) noexcept;

/// Writes back what arrives, until every stream has ended.
void serve_echo(child& me, std::vector<os::unique_fd>& sockets);

struct echo_load {
  std::size_t in_flight = 1;  ///< on each socket
  std::chrono::nanoseconds duration{};
  std::chrono::nanoseconds warm_up{};           ///< before
  std::vector<std::uint32_t>* times = nullptr;  ///< takes the nanoseconds that each echo took; null: nobody asks
};
/// Keeps messages on the way on each socket, lets the last ones come home, checks every byte of every echo, and closes
/// the sockets. A socket that gives parts of messages waits for the rest of them.
void load_echo(child& me, std::vector<os::unique_fd>& sockets, const echo_wire& wire, const echo_load& how,
               echo_tally& sums);

}  // namespace ferry::bench
