#pragma once
/// Runs measurements in child processes, alone or between runs of the bare limit.

#include <ferry/error.hpp>

#include <cstdint>
#include <optional>
#include <vector>

#include "apps/ferry/bench_plan.hpp"

namespace ferry::app {

/// What the machine can do in the same run, with bare system calls: see bench/limits.hpp.
struct bench_limit {
  std::size_t buffer = 0;          ///< one way: bytes of the pipeline's buffers, the better of two sizes
  double messages_per_second = 0;  ///< one way
  double rtt_p50_ns = 0;           ///< round trip, of 64 bytes
  double rtt_p99_ns = 0;
};

/// Both sides of one run, added up.
struct bench_result {
  bench_kind kind = bench_kind::rtt;
  std::size_t size = 0;
  std::uint64_t messages = 0;  ///< that arrived; rtt: round trips
  double seconds = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t corrupt = 0;
  double allocations_per_message = 0;
  double system_calls_per_message = 0;
  bench_histogram rtt;               ///< rtt only
  std::optional<bench_limit> limit;  ///< if asked for

  [[nodiscard]] bool perfect() const noexcept { return lost == 0 && duplicated == 0 && corrupt == 0; }
  [[nodiscard]] double messages_per_second() const noexcept { return static_cast<double>(messages) / seconds; }
  [[nodiscard]] double bytes_per_second() const noexcept { return messages_per_second() * static_cast<double>(size); }
  /// To the limit: of the rates one way (1: as fast), of the medians of round trips (1: as fast, 2: half as fast).
  [[nodiscard]] double ratio() const noexcept;
};

/// Blocks until both processes are gone; the plan's duration bounds it. The calling thread must live until then.
/// @return what they found | as make_bench_pair | what a side failed with | errc::timeout (a side hung)
[[nodiscard]] result<bench_result> run_bench(const bench_plan& asked);

struct bench_series {
  std::uint32_t repeat = 1;
  bool with_limit = false;
};

/// Whether both sides look for messages instead of sleeping. Two that share a core would only wait for each other, so
/// such a plan should have a placement.
[[nodiscard]] bool spins(const bench_plan& plan);

/// Each run followed by one of the limit, if asked for.
/// @return as run_bench | errc::unsupported (there is no bare limit of that transport or kind)
[[nodiscard]] result<std::vector<bench_result>> run_benches(const bench_plan& plan, const bench_series& how);

}  // namespace ferry::app
