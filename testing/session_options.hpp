#pragma once
/// Options of one end of a persistent session that comes back at once.

#include <ferry/options.hpp>

#include <chrono>
#include <string>
#include <utility>

#include "testing/temp_dir.hpp"

namespace ferry::test {

/// @param as  its name @param dir  where its files are, and the places of shm://
[[nodiscard]] inline options session_options(std::string as, const temp_dir& dir) {
  options made;
  made.session = session_kind::persistent;
  made.as = std::move(as);
  made.dir = dir.path();
  made.runtime_dir = dir.path();
  made.reconnect = true;
  made.reconnect_base = made.reconnect_max = std::chrono::milliseconds(1);
  return made;
}

}  // namespace ferry::test
