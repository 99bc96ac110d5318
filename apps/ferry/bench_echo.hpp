#pragma once
/// A listener that sends everything back, under a load that knows nothing of this library, beside the bare echo.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "bench/limits.hpp"

namespace ferry::app {

struct echo_bench_plan {
  std::string url;  ///< tcp://, ws://, ws+raw://
  options with;     ///< of the listener; max_connections is raised to what is needed
  bench::echo_plan load;
  bench::placement pin;   ///< first: the server, second: the load; without: the first two cores
  bool external = false;  ///< the server is somebody else's: nothing but the load runs, and there is no limit
};

struct echo_bench_run {
  std::uint64_t messages = 0;  ///< that came back in time, every byte of them as it must be
  double seconds = 0;
  double limit_messages_per_second = 0;  ///< of the bare epoll server that echoed unframed bytes next; 0: external
  double allocations_per_message = 0;    ///< of the server, for one echo; external: not known
  double system_calls_per_message = 0;   ///< its channels' reads and writes

  [[nodiscard]] double messages_per_second() const noexcept { return static_cast<double>(messages) / seconds; }
  [[nodiscard]] double ratio() const noexcept {
    return limit_messages_per_second == 0 ? 0 : messages_per_second() / limit_messages_per_second;
  }
};

/// Blocks; the load is the same program for both, and differs in the bytes that it says and expects.
/// @return so many runs, each followed by one of the bare echo | misuse (the load is out of range) | unsupported
///         (another scheme; one core) | corrupt (an echo was not what was said) | what a side failed with | timeout
[[nodiscard]] result<std::vector<echo_bench_run>> run_echo_bench(const echo_bench_plan& asked, std::uint32_t repeat);

}  // namespace ferry::app
