#pragma once
/// Both ends of a transport in one process, and traffic by chance between them.

#include <ferry/context.hpp>
#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace ferry::app {

struct loopback_figures {
  std::uint64_t connections = 0;
  std::uint64_t cut = 0;        ///< of them, in the middle, by the server
  std::uint64_t half_open = 0;  ///< of them, one side began to speak when the other had ended
  std::uint64_t messages = 0;   ///< that arrived, both ways
  std::uint64_t bytes = 0;      ///< in them
};

/// Makes one connection after the other between a listener at `url` and a channel, and moves messages of sizes, kinds
/// and types by chance both ways. Each must arrive once, in order, as it was sent; of a connection that is cut, no more
/// may be missing than one of the ends reports.
/// @param url  with port 0, or a name that nobody else listens at
/// @param seed  of the first connection; the next ones have seed + 1, ...
/// @return the first thing that was not as it must be; the text names the seed
[[nodiscard]] result<loopback_figures> run_loopback(context& where, const std::string& url, const options& serving,
                                                    const options& asking, std::uint64_t seed,
                                                    std::uint64_t connections, std::chrono::nanoseconds patience);

}  // namespace ferry::app
