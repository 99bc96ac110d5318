#pragma once
/// Other parameters for a gateway that runs.

#include <ferry/error.hpp>

#include <string>
#include <vector>

#include "gateway/gateway.hpp"
#include "gateway/parameters.hpp"

namespace ferry::gateway {

/// What members, threads and doors were made with goes back into `next`: addresses, sizes of buffers, resumable
/// streams, the check of clients, max-packet, threads, numbering. @return the names of what differed
std::vector<std::string> keep_until_next_start(settings& next, const settings& now);

/// From now on `next` holds, but for what waits for the next start. Judged is what holds then: a key cannot go while
/// servers come from anywhere, also if the next start would have another address.
/// @param holds  with what it runs; changed @return the names of what waits | bad_option: nothing has changed
[[nodiscard]] result<std::vector<std::string>> reconfigure(service& running, configuration& holds,
                                                           const configuration& next);

}  // namespace ferry::gateway
