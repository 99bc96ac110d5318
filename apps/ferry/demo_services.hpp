#pragma once
/// The demo's row of services: one asks another one through a sidecar, and in the middle a second instance of that one
/// takes its place.

#include <optional>
#include <string>

#include "apps/ferry/demo_row.hpp"

namespace ferry::app {

/// As run_demo_row, with four child processes: the sidecar, who asks, and the two instances that answer.
/// @return nothing: this program was built without the sidecar
[[nodiscard]] std::optional<demo_row> run_services_demo_row(const demo_text& text, const std::string& directory);

}  // namespace ferry::app
