#pragma once
#include <memory>
#include <string>

#include "apps/ferry/bench_pair.hpp"

namespace ferry::app {

/// One uds_writer and one uds_reader (ferry/compat/uds.hpp), each on an event loop of its own process. One way only,
/// and nothing comes back: the reader measures, from the first counted message to the last.
/// @param path  of the Unix socket, or "@NAME"
[[nodiscard]] std::unique_ptr<bench_pair> make_uds_pair(std::string path);

}  // namespace ferry::app
