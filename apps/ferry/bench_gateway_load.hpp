#pragma once
/// The clients of `ferry bench gateway`.

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "apps/ferry/bench_gateway.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "bench/child.hpp"

namespace ferry::app {

/// What the sides of a run tell each other; in memory that they share.
struct gateway_board {
  meeting_point client_url, server_url;
  std::atomic<int> gateway_pid = 0;
  std::atomic<bool> serving = false;       ///< the service is logged in
  std::atomic<bool> over = false;          ///< the load has what it wants
  std::atomic<std::uint64_t> clients = 0;  ///< that the gateway has now
  gateway_bench_run run;
};
static_assert(std::is_trivially_destructible_v<gateway_bench_run>);

inline constexpr std::uint32_t k_bench_server = 1;  ///< the ID that is dialled

/// Loads the gateway as the plan says and leaves the figures on the board.
void load_gateway(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared);
/// The same for gateway_work::idle.
void load_gateway_idly(bench::child& me, const gateway_bench_plan& plan, gateway_board& shared);

/// User and system time of a process; below 0: it is not known.
[[nodiscard]] double process_cpu_seconds(int pid) noexcept;

}  // namespace ferry::app
