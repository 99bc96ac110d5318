#pragma once
/// Many connections that say nothing, and what one of them costs.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <chrono>
#include <cstdint>
#include <string>

#include "apps/ferry/bench_histogram.hpp"
#include "bench/limits.hpp"

namespace ferry::app {

struct connections_plan {
  std::string url;
  options with;                ///< max_connections is raised to `count` where it is below
  std::uint32_t count = 9000;  ///< 1 .. 1'000'000; each takes a descriptor in both processes
  /// So many of 100, at least one if this is not 0, then have one message of 64 bytes in flight, to and fro.
  double active_percent = 0;
  std::chrono::nanoseconds duration = std::chrono::seconds(1);  ///< of that part
  bench::placement pin;  ///< first: the server, which is measured; second: the load
};

struct connections_result {
  std::uint32_t first_count = 0;    ///< a ninth of all: where the first measurement was taken
  std::uint64_t rss_bytes[2] = {};  ///< of the server process, at first_count and at all
  std::uint64_t pss_bytes[2] = {};
  std::uint64_t descriptors[2] = {};
  double seconds_to_connect = 0;  ///< all of them
  std::uint64_t messages = 0;     ///< round trips of the active ones
  double active_seconds = 0;
  std::uint64_t corrupt = 0;
  bench_histogram rtt;

  /// Of our process per idle connection: the slope between the two counts; 0 if they are the same.
  [[nodiscard]] double slope(const std::uint64_t (&bytes)[2], std::uint32_t count) const noexcept {
    if (count == first_count) return 0;
    return (static_cast<double>(bytes[1]) - static_cast<double>(bytes[0])) / static_cast<double>(count - first_count);
  }
};

/// Raises this process's soft limit of descriptors to the hard one.
/// @return errc::busy, with both numbers, if `count` connections do not fit
[[nodiscard]] result<void> make_room_for(std::uint32_t count);

/// The server is one thread of one process, the load another process.
/// @return make_room_for's error | what a side failed with | errc::unsupported (they stay in one process) |
///         errc::timeout | errors of the URL
[[nodiscard]] result<connections_result> measure_connections(const connections_plan& asked);

}  // namespace ferry::app
