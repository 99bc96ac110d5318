#pragma once
/// Where processor time goes, as gperftools samples it, where the program was built with it.

#include <ferry/error.hpp>

#include <string>

namespace ferry::app {

/// Samples go to `path` from now on. @return unsupported: built without it | why the file cannot be written
[[nodiscard]] result<void> start_profile(const std::string& path);

/// Writes what was sampled. Without a start it does nothing.
void stop_profile() noexcept;

}  // namespace ferry::app
