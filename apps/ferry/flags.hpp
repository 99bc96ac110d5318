#pragma once
/// Command line flags whose values are read as everywhere else in the product, with errors that say what to write.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "channel/option_value.hpp"
#include "channel/wording.hpp"

namespace ferry::app {

/// A flag whose value is one of a few words, written as in `words`; a near miss is suggested.
template <class T>
CLI::Option* add_choice(CLI::App& command, const std::string& flag, T& target,
                        const std::vector<std::pair<std::string_view, T>>& words, const std::string& help) {
  const auto read = [&target, words, flag](const std::string& text) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : words) {
      names.push_back(name);
      if (name != text) continue;
      target = value;
      return;
    }
    throw CLI::ValidationError(flag + " " + shown(text, 64) + ": must be one of " + joined(names) +
                               did_you_mean(text, names));
  };
  return command.add_option_function<std::string>(flag, read, help);
}

/// A flag whose value is a size ("64KiB") or a count ("10k") of at least `least`.
/// @param unit option_unit::size or option_unit::count
inline CLI::Option* add_whole(CLI::App& command, const std::string& flag, std::uint64_t& target, option_unit unit,
                              std::uint64_t least, const std::string& help,
                              std::uint64_t most = std::numeric_limits<std::int64_t>::max()) {
  const auto read = [=, &target](const std::string& text) {
    const auto value = parse_whole(unit, text);
    if (value && *value >= least && *value <= most) {
      target = *value;
      return;
    }
    const bool sizes = unit == option_unit::size;
    std::string wanted = sizes ? "a size in bytes (65536, 64KiB, 1MiB)" : "a whole number (1000, 10k)";
    if (value && *value > most) wanted += " of at most " + format_whole(unit, most);
    if (value && *value < least) wanted += " of at least " + format_whole(unit, least);
    throw CLI::ValidationError(flag + " " + shown(text, 64) + ": must be " + wanted);
  };
  return command.add_option_function<std::string>(flag, read, help);
}

/// A flag that may be given several times, each time with one value, whatever that looks like.
inline CLI::Option* add_list(CLI::App& command, const std::string& flag, std::vector<std::string>& target,
                             const std::string& help) {
  return command.add_option(flag, target, help)->allow_extra_args(false);
}

/// The shape that all commands have: one line for the list of commands, text and examples for its own help.
inline CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& summary,
                             const std::string& examples) {
  CLI::App* const command = app.add_subcommand(name, summary);
  command->footer("Examples:\n" + examples);
  return *command;
}

}  // namespace ferry::app
