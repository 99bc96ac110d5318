#pragma once
/// Where the parameters of a daemon come from besides its command line: the environment and TOML files.

#include <ferry/error.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "apps/ferry/toml_entries.hpp"

namespace ferry::app {

/// Sets one parameter by name, in any spelling.
using parameter_setter = std::function<result<void>(std::string_view name, std::string_view value)>;

/// What this process was started with.
[[nodiscard]] std::span<const char* const> environment_of_process() noexcept;

/// "FERRY_GATEWAY_CLIENT_MAX_CONN=16" with the prefix "FERRY_GATEWAY_". @return the setter's error, with the variable
[[nodiscard]] result<void> set_from_environment(std::span<const char* const> environment, std::string_view prefix,
                                                const parameter_setter& set);

/// Keys of a TOML file, each at most once. @param table  for error texts: where parameters may stand
/// @param canonical  one name of all spellings @return the setter's error, with the line
[[nodiscard]] result<void> set_from_entries(std::span<const toml_entry> entries, std::string_view table,
                                            const std::function<std::string(std::string_view)>& canonical,
                                            const parameter_setter& set);

}  // namespace ferry::app
