#pragma once
/// The parameters of a sidecar by name: for the command line, files and the environment. Source of names and defaults:
/// docs/sidecar.md.

#include <ferry/error.hpp>

#include <span>
#include <string>
#include <string_view>

#include "channel/parameter_table.hpp"
#include "sidecar/settings.hpp"

namespace ferry::sidecar {

/// All that can be set.
struct configuration {
  settings process;
  entity_settings defaults;                        ///< of every entity that does not say otherwise
  duration stop_within = std::chrono::seconds(2);  ///< after SIGTERM: how long what lies in the rings is still read
  bool insecure = false;                           ///< operators may come from other hosts
  std::string admin_url;                           ///< where operators ask; empty: nowhere
  std::string pid_file;                            ///< empty: none
  std::string log_file;                            ///< instead of standard error
};

/// Of the process.
[[nodiscard]] std::span<const parameter> parameter_table() noexcept;
/// Of one entity; each may also be set for all of them.
[[nodiscard]] std::span<const parameter> entity_parameter_table() noexcept;

/// "heartbeat-timeout" of "UnixSockHBTimeoutMS" or "HEARTBEAT_TIMEOUT"; other words as they are, in small letters.
[[nodiscard]] std::string canonical_parameter_name(std::string_view name);

/// A parameter of the process, or one of an entity, for all that come later.
/// @param name  in any spelling @param value  sizes: K, M and G are 1024, 1024^2, 1024^3; durations: "1m30s", and a
/// number alone is of the unit that the original's name has
/// @return unknown_option: with the near one | bad_option: with what must be written instead
[[nodiscard]] result<void> set_parameter(configuration& target, std::string_view name, std::string_view value);
[[nodiscard]] result<void> set_parameter(entity_settings& target, std::string_view name, std::string_view value);

/// An entity as the command line has it: "name=7,id=101,dir=/run/ferry/101,pipes=2"; what it does not say is as of
/// `defaults`. @return as of set_parameter()
[[nodiscard]] result<entity_settings> parse_entity(const entity_settings& defaults, std::string_view text);

/// What cannot be judged parameter by parameter. @return bad_option
[[nodiscard]] result<void> check(const configuration& all);

}  // namespace ferry::sidecar
