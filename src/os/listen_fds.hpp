#pragma once
/// Sockets that a service manager has opened for this process. Source: sd_listen_fds(3).

#include <ferry/error.hpp>

#include <string>
#include <vector>

#include "os/unique_fd.hpp"

namespace ferry::os {

struct given_socket {
  unique_fd fd;      ///< nobody has looked what it is
  std::string name;  ///< that LISTEN_FDNAMES gives it; empty: none
};

inline constexpr int k_first_given = 3;  ///< they are this descriptor and the next ones
inline constexpr int k_most_given = 1024;

/// Takes the descriptors that LISTEN_FDS announces, and unsets LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, in every
/// case. Before the first thread is started: the environment is not safe to change later.
/// @return empty: LISTEN_FDS is not set | misuse: it is not 1 .. k_most_given, or LISTEN_PID is set and is not this
/// process (some starters do not know it, and leave it out)
[[nodiscard]] result<std::vector<given_socket>> take_listen_fds();

}  // namespace ferry::os
