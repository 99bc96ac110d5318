#pragma once
/// `ferry listen --append FILE`: what one sender sends in its session, in a file, exactly once.

#include <ferry/options.hpp>

#include <string>

#include "apps/ferry/settings.hpp"

namespace ferry::app {

struct append_flags {
  std::string url;
  std::string file;
  log_level log = log_level::warn;
  bool stats = false;
};

/// Runs until Ctrl-C, or an error. @return the exit status
[[nodiscard]] int listen_and_append(const append_flags& flags, const options& with);

}  // namespace ferry::app
