#include "apps/ferry/settings.hpp"

#include <algorithm>

#include "apps/ferry/app.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/options_toml.hpp"
#include "apps/ferry/parameter_sources.hpp"
#include "channel/option_table.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_about_options =
    "Set a channel option (docs/options.md); wins over the environment (FERRY_NAME),\n"
    "--config and the defaults; the query of a URL (URL?name=value) wins over -o";

/// "max_message=10MiB": what somebody who wrote no value could have written.
std::string example_of(std::string_view name) {
  const auto canonical = canonical_option_name(name);
  for (const auto& row : option_table())
    if (row.name == canonical && !row.default_text.empty()) return canonical + "=" + row.default_text;
  return "max_message=1MiB";
}

result<void> set(options& target, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    return error(errc::bad_option, "-o " + shown(text, 64) + ": write NAME=VALUE, for example -o " + example_of(text));
  }
  const auto problem = set_option(target, text.substr(0, equals), text.substr(equals + 1));
  if (!problem) return {};
  return error(problem->unknown ? errc::unknown_option : errc::bad_option, "-o: " + problem->text);
}

// A variable of another name may be somebody else's, one that is nearly right is a mistake.
void warn_of_nearly_right_names(std::span<const char* const> environment) {
  constexpr std::string_view prefix = "FERRY_";
  const auto known = option_names();
  for (const std::string_view entry : environment) {
    if (!entry.starts_with(prefix)) continue;
    const auto variable = entry.substr(0, entry.find('='));
    const auto name = canonical_option_name(variable.substr(prefix.size()));
    const auto near = did_you_mean(name, known);
    if (!near.empty() && std::find(known.begin(), known.end(), name) == known.end())
      say("environment variable " + shown(variable, 64) + " sets nothing: unknown option '" + name + "'" + near);
  }
}

}  // namespace

void add_log_flag(command_line command, log_level& level) {
  add_choice<log_level>(command, "--log", level,
                        {{"error", log_level::error},
                         {"warn", log_level::warn},
                         {"info", log_level::info},
                         {"debug", log_level::debug},
                         {"trace", log_level::trace}},
                        "What is logged to standard error: error, warn (default), info, debug, trace")
      .type_name("LEVEL");
}

void add_channel_flags(command_line command, channel_flags& flags) {
  command.add_list("-o", flags.sets, k_about_options).type_name("NAME=VALUE");
  command.add_option("--config", flags.config, "A TOML file with channel options, at its top or in [channel]")
      .type_name("FILE");
  add_log_flag(command, flags.log);
}

result<options> options_from(const channel_flags& flags, const options& defaults) {
  options all = defaults;
  if (!flags.config.empty()) {
    const auto read = set_options_from_toml_file(all, flags.config);
    // Whatever is wrong with the file, it is the command line that has to change.
    if (!read) return error(errc::bad_option, "--config: " + read.error().text(), read.error().system_errno());
  }
  const auto environment = environment_of_process();
  if (const auto problem = set_options_from_environment(all, environment)) {
    return error(errc::bad_option, problem->text);
  }
  warn_of_nearly_right_names(environment);
  for (const auto& text : flags.sets) {
    if (const auto done = set(all, text); !done) return done.error();
  }
  return all;
}

}  // namespace ferry::app
