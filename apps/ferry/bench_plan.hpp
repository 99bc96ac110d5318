#pragma once
/// One measurement: what is asked for, and what its processes find.

#include <ferry/options.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "apps/ferry/bench_histogram.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "bench/limits.hpp"

namespace ferry::app {

enum class bench_kind : std::uint8_t {
  rtt,         ///< one message in flight, there and back
  oneway,      ///< as many as the channel takes, counted and checked at the other end
  write_only,  ///< as oneway, to a peer that throws raw bytes away
  read_only,   ///< from a peer that writes a prebuilt buffer again and again
};
/// "rtt", "oneway", "write_only", "read_only"
[[nodiscard]] const char* to_string(bench_kind kind) noexcept;

struct bench_plan {
  bench_kind kind = bench_kind::rtt;
  std::string url;
  std::string listen_url;  ///< of the server that is started; the same, but for services behind a sidecar
  options with;
  std::size_t size = 64;               ///< bytes of a message, k_bench_min_size .. max_message
  std::optional<std::uint64_t> count;  ///< ends after so many messages (rtt: round trips), or after `duration`
  std::chrono::nanoseconds duration = std::chrono::seconds(2);
  bench::placement pin;   ///< first: the sender (rtt: who asks), second: the receiver
  bool uds_pair = false;  ///< through a uds_writer and a uds_reader instead of channels; oneway over ipc
  bool external = false;  ///< somebody else runs the other side: `ferry bench serve URL`
  std::string directory;  ///< where sessions may put their files
};

/// What one side counted after the warm-up.
struct bench_side {
  std::uint64_t messages = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t system_calls = 0;  ///< reads and writes of the channel
  std::uint64_t allocations = 0;   ///< calls of operator new
};

/// In memory that both processes share; read by the parent when they are gone.
struct bench_board {
  meeting_point where;     ///< published before the rendezvous
  std::atomic<bool> over;  ///< the client has what it wants; what breaks afterwards is no failure
  bench_side client;
  bench_side server;
  std::int64_t elapsed_ns;      ///< of the measured part
  std::uint64_t wire_bytes[2];  ///< write_only: bytes that left the client, bytes that the peer threw away
  bench_histogram rtt;
};

}  // namespace ferry::app
