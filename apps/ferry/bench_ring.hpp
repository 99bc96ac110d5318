#pragma once
/// Rings in shared memory with a connection around them: what a channel adds to the poll API, what a wake-up costs, and
/// what it costs to wait. What the bare ring does is measured in bench/ring_limits.hpp.
///
/// Every comparison is made in two pinned processes, train by train in turns. All outcomes: the figures |
/// errc::misuse (rounds) | errc::unsupported (two cores are needed and this process may use one) | errc::corrupt (what
/// arrived is not what was sent) | errc::timeout (a side hung) | errors of connecting.

#include <ferry/options.hpp>

#include <chrono>

#include "bench/ring_limits.hpp"

namespace ferry::app {

struct ring_plan {
  options with;                                             ///< of both ends; `spin` is set by the measurement
  bench::placement pin;                                     ///< first: who asks and sends, second: its peer
  int rounds = 15;                                          ///< 1 .. 1000
  std::chrono::nanoseconds idle = std::chrono::seconds(3);  ///< how long nothing comes
  bool brief = false;  ///< through a sidecar: a few short trains, which show that it works and say nothing
};

/// Nanoseconds of a round trip of 64 bytes, both sides spinning, every word checked: `ring` is a channel, `other` the
/// poll API. A round is the median of 51 trains of 1000 trips each.
[[nodiscard]] result<bench::ring_comparison> measure_channel_round_trip(const ring_plan& plan);

/// Messages of 64 bytes per second one way, both sides spinning, every word checked: `ring` is a channel, `other` the
/// poll API. A round is the best of 15 trains of 50 000 messages each.
[[nodiscard]] result<bench::ring_comparison> measure_channel_rate(const ring_plan& plan);

/// Nanoseconds from before a message is published (or the word stored) to when the consumer, which slept, runs and sees
/// it: `ring` is the poll API's wait(), `other` a bare futex. A round is the median of 50 wake-ups each, one after the
/// other; the producer waits each time until the kernel says that the consumer sleeps, and then 50 us more.
[[nodiscard]] result<bench::ring_comparison> measure_wake_up(const ring_plan& plan);

// Persistent sessions over shared memory, with files in `with.dir`.

/// As measure_channel_round_trip, with every message a transaction at both ends: `ring` is a channel with a session,
/// `other` one without.
[[nodiscard]] result<bench::ring_comparison> measure_session_round_trip(const ring_plan& plan);
/// The same, but that `other` is the poll API.
[[nodiscard]] result<bench::ring_comparison> measure_session_round_trip_to_poll(const ring_plan& plan);
/// The poll API of sessions against that of rings: `ring` is a client and a server in tcpshm's shape, every message a
/// transaction at both ends, `other` the poll API.
[[nodiscard]] result<bench::ring_comparison> measure_session_poll_round_trip(const ring_plan& plan);
/// As measure_channel_rate, with every message a transaction at both ends.
[[nodiscard]] result<bench::ring_comparison> measure_session_rate(const ring_plan& plan);

/// Nanoseconds from the beginning of a transaction with a message of 64 bytes until it is on the disk: `ring`; `other`
/// is 64 bytes written into a file of the same directory, and fdatasync(). A round is the median of 20 each, in turns.
[[nodiscard]] result<bench::ring_comparison> measure_durable_commit(const ring_plan& plan);
/// Such transactions per second, 256 of them waiting for the disk, where they go in groups: `ring`; `other` is the rate
/// of fdatasync() one after the other. A round takes 50 ms of each.
[[nodiscard]] result<bench::ring_comparison> measure_durable_commits(const ring_plan& plan);

enum class waiting_with { poll_api, channel };
/// The share of one core (0 .. 1) that a consumer takes for which nothing comes: user and system time.
[[nodiscard]] result<double> measure_idle(const ring_plan& plan, waiting_with how);

}  // namespace ferry::app
