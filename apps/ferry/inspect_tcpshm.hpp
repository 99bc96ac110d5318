#pragma once
/// What `ferry inspect` shows of tcpshm's files. Source: docs/compat-tcpshm.md.

#include <optional>
#include <string>

namespace ferry::app {

/// Shows a queue file AS_PEER.ptcp, or the shared memory FROM_TO.shm.
/// @return the exit status | nothing: the name is of neither
[[nodiscard]] std::optional<int> inspect_tcpshm(const std::string& path, bool json);

}  // namespace ferry::app
