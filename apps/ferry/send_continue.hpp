#pragma once
/// `ferry send --continue`: a file through a session, exactly once, however often both sides are started.

#include <ferry/options.hpp>

#include <string>

#include "apps/ferry/cutter.hpp"
#include "apps/ferry/settings.hpp"

namespace ferry::app {

struct continue_flags {
  std::string url;
  std::string file;
  split_rule split;
  std::string wait_text;  ///< of `wait`, as it was written
  options::duration wait{};
  log_level log = log_level::warn;
  bool stats = false;
};

/// Runs until the other end has acknowledged everything. @return the exit status
[[nodiscard]] int send_and_continue(const continue_flags& flags, const options& with);

}  // namespace ferry::app
