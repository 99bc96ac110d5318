#pragma once
/// The two ends of an echo, as child bodies: measure_echo joins them directly, measure_relay puts a relay between.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/child.hpp"
#include "os/unique_fd.hpp"

namespace ferry::bench {

inline constexpr std::size_t k_echo_size = 64;
/// At least what is in flight on one connection, so that one read gets all of it.
inline constexpr std::size_t k_echo_buffer = 64 << 10;

struct echo_tally {
  std::uint64_t timed;  ///< messages back within `seconds`
  std::uint64_t total;  ///< and with those that were in flight at the end
  double seconds;
};

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

/// Keeps `in_flight` messages on the way on each socket for `duration`, lets the last ones come home, checks every byte
/// of every echo, and closes the sockets.
void load_echo(child& me, std::vector<os::unique_fd>& sockets, std::size_t in_flight, std::chrono::nanoseconds duration,
               echo_tally& sums);

}  // namespace ferry::bench
