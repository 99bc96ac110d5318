#pragma once
/// Commands and flags of the command line, whose values are read as everywhere else in the product, with errors that
/// say what to write. CLI11 is behind it; its headers, which take longer to compile than most commands, stay in
/// flags.cpp.

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "channel/option_value.hpp"
#include "channel/wording.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's name
class App;
class Option;
}  // namespace CLI

namespace ferry::app {

/// What somebody wrote cannot be: `text` is said, and the exit status is k_usage. For whatever reads a value, and for a
/// command that finds out before it begins.
[[noreturn]] void refuse_usage(const std::string& text);

/// One flag or argument of a command: a handle, which lives as long as the program's command line.
class flag {
 public:
  explicit flag(CLI::Option& option) noexcept : option_(&option) {}

  flag required() const;                                ///< the command needs it
  flag type_name(const std::string& text) const;        ///< what its help calls the value
  flag excludes(flag other) const;                      ///< only one of both
  flag needs(flag other) const;                         ///< not without the other
  flag optional_value(const std::string& alone) const;  ///< without a value it means `alone`
  [[nodiscard]] bool given() const;                     ///< once the command line was read

 private:
  CLI::Option* option_;
};

/// A command, or the program itself: a handle. Targets must live as long as the program's command line.
class command_line {
 public:
  explicit command_line(CLI::App& command) noexcept : command_(&command) {}

  flag add_option(const std::string& name, std::string& target, const std::string& help) const;
  /// @param read gets the value as it was written; may call refuse_usage()
  flag add_option(const std::string& name, const std::function<void(const std::string&)>& read,
                  const std::string& help) const;
  /// May be given several times, each time with one value, whatever that looks like.
  flag add_list(const std::string& name, std::vector<std::string>& target, const std::string& help) const;
  flag add_flag(const std::string& name, bool& target, const std::string& help) const;
  /// A command of this one: one line for the list of commands, text and examples for its own help.
  [[nodiscard]] command_line add_command(const std::string& name, const std::string& summary,
                                         const std::string& examples) const;
  void need_command() const;                                 ///< one of its commands has to be chosen
  void callback(const std::function<void()>& chosen) const;  ///< what happens when this command is chosen

 private:
  CLI::App* command_;
};

/// Reads one of a few words; a near miss is suggested. @param target keeps its value on an error
template <class T>
flag add_choice(command_line command, const std::string& name, T& target,
                const std::vector<std::pair<std::string_view, T>>& words, const std::string& help);

/// The index of `text` among `words`; refuse_usage() with a suggestion if it is none of them.
[[nodiscard]] std::size_t choose(const std::string& name, const std::string& text,
                                 const std::vector<std::string_view>& words);

/// A flag whose value is a size ("64KiB") or a count ("10k") of at least `least`.
/// @param unit option_unit::size or option_unit::count
flag add_whole(command_line command, const std::string& name, std::uint64_t& target, option_unit unit,
               std::uint64_t least, const std::string& help,
               std::uint64_t most = std::numeric_limits<std::int64_t>::max());

/// Where a command talks to another process; refuses inproc, which nobody else reaches.
flag add_url(command_line command, const std::string& name, std::string& target, const std::string& help);

/// A flag whose value is a duration ("500ms", "10s") of at least `least`.
flag add_duration(command_line command, const std::string& name, std::chrono::nanoseconds& target,
                  const std::string& help, std::chrono::nanoseconds least = std::chrono::nanoseconds(1));

template <class T>
flag add_choice(command_line command, const std::string& name, T& target,
                const std::vector<std::pair<std::string_view, T>>& words, const std::string& help) {
  std::vector<std::string_view> names;
  std::vector<T> values;
  for (const auto& [word, value] : words) {
    names.push_back(word);
    values.push_back(value);
  }
  return command.add_option(
      name, [=, &target](const std::string& text) { target = values[choose(name, text, names)]; }, help);
}

}  // namespace ferry::app
