#pragma once
/// Where the sockets of shared-memory endpoints lie.

#include <ferry/error.hpp>

#include <string>

namespace ferry::os {

/// The directory: `chosen` if not empty, else $RUNTIME_DIRECTORY (the first of several), else $XDG_RUNTIME_DIR/ferry,
/// else /run/ferry for root, else /tmp/ferry-UID, which must be ours and closed to others.
/// @param create  make it if it does not exist
/// @return auth: the one under /tmp belongs to somebody else | permission | not_found | bad_address (no directory)
[[nodiscard]] result<std::string> runtime_directory(const std::string& chosen, bool create);

}  // namespace ferry::os
