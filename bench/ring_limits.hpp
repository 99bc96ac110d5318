#pragma once
/// The native ring against what the machine can do, and against a plain ring: two pinned processes over one mapping.
///
/// Every function measures both sides of a comparison in the same two processes, in turns, so that a change of the
/// machine's mood hits both; a ratio is that of neighbours. Everybody waits with ring_pause() between two looks, but
/// for the bare cache line, which is as in bench/limits.hpp. Outcomes, threads and children are as there, too.

#include <ferry/error.hpp>

#include <cstddef>
#include <vector>

#include "bench/limits.hpp"

namespace ferry::bench {

/// Figures of one round each: ring[i] and other[i] were measured side by side.
struct ring_comparison {
  std::vector<double> ring;
  std::vector<double> other;
  /// The median over rounds of ring[i] / other[i].
  [[nodiscard]] double median_ratio() const;
};

struct ring_measurement {
  std::size_t size = 64;             ///< bytes of a message that is copied: a multiple of 8, 64 .. ring_bytes / 4 + 16
  std::size_t ring_bytes = 1 << 20;  ///< as ring_geometry::valid(), at most 8 MiB
  int rounds = 15;                   ///< 1 .. 1000
};

/// Nanoseconds of a round trip of 64 bytes, every word of them checked in place; `other` is the bare cache line. Both
/// by the same code, in trains of 1000 trips timed as a whole, a train of one after a train of the other; a figure is
/// the median of a round's 51 trains.
[[nodiscard]] result<ring_comparison> measure_ring_round_trip(const ring_measurement& what, placement cores);

/// The same, but that the line is waited for as the ring is: with ring_pause() between two looks.
[[nodiscard]] result<ring_comparison> measure_ring_round_trip_to_pausing_line(const ring_measurement& what,
                                                                              placement cores);

/// Messages per second one way, 64 bytes copied in and every word of them checked in place; `other` is a plain ring
/// with a separate write index (bench/ring_plain.hpp).
[[nodiscard]] result<ring_comparison> measure_ring_rate(const ring_measurement& what, placement cores);

/// Bytes per second one way, copied in and copied out, both ends and the middle of every copy checked; `other` is the
/// same copies through the same memory as a pipeline in which nobody waits for anybody.
[[nodiscard]] result<ring_comparison> measure_ring_copies(const ring_measurement& what, placement cores);

}  // namespace ferry::bench
