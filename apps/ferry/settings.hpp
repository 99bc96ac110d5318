#pragma once
/// The flags that every command with channels has, and the options that follow from them.

#include <ferry/error.hpp>
#include <ferry/log.hpp>
#include <ferry/options.hpp>

#include <string>
#include <vector>

namespace ferry::app {

class command_line;  // flags.hpp

struct channel_flags {
  std::vector<std::string> sets;    ///< -o NAME=VALUE, in order
  std::string config;               ///< --config FILE; empty: none
  log_level log = log_level::warn;  ///< --log LEVEL
};

/// Adds -o, --config and --log. `flags` must live as long as `command`.
void add_channel_flags(command_line command, channel_flags& flags);

/// Each of these wins over those before it: the command's `defaults`, the TOML file, the environment (FERRY_NAME), -o;
/// the query of a URL wins over them all, when a channel or a listener is opened with what this returns.
/// @return errc::unknown_option | errc::bad_option | the error of reading the file; each text says what to write
/// instead
[[nodiscard]] result<options> options_from(const channel_flags& flags, const options& defaults = {});

/// For commands that run without channels of their own.
void add_log_flag(command_line command, log_level& level);

}  // namespace ferry::app
