#pragma once
/// The address as it is told to people, who copy it.

#include <ferry/options.hpp>

#include <string>

namespace ferry {

/// `url`, and the option without which the other end does not get there, or does not understand, if `with` has another
/// value of it than the default: runtime_dir of shm, framing of streams; none with compat=tcpshm.
[[nodiscard]] std::string printed_url(std::string url, const options& with);

}  // namespace ferry
