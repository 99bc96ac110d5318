#pragma once
/// What `ferry inspect` shows of the files of a sidecar and its services. Source: docs/sidecar.md.

#include <optional>
#include <string>

namespace ferry::app {

/// Shows a compatible ring, or the lock file of a pipe; says of an entity's directory which files are in it.
/// @return the exit status | nothing: it is none of these
[[nodiscard]] std::optional<int> inspect_sidecar(const std::string& path, bool json);

}  // namespace ferry::app
