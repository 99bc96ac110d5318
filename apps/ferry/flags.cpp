#include "apps/ferry/flags.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

namespace ferry::app {

void refuse_usage(const std::string& text) { throw CLI::ValidationError(text); }

flag flag::required() const {
  option_->required();
  return *this;
}

flag flag::type_name(const std::string& text) const {
  option_->type_name(text);
  return *this;
}

flag flag::excludes(flag other) const {
  option_->excludes(other.option_);
  return *this;
}

flag flag::needs(flag other) const {
  option_->needs(other.option_);
  return *this;
}

flag flag::optional_value(const std::string& alone) const {
  option_->expected(0, 1)->default_str(alone);
  return *this;
}

bool flag::given() const { return option_->count() != 0; }

flag command_line::add_option(const std::string& name, std::string& target, const std::string& help) const {
  return flag(*command_->add_option(name, target, help));
}

flag command_line::add_option(const std::string& name, const std::function<void(const std::string&)>& read,
                              const std::string& help) const {
  return flag(*command_->add_option_function<std::string>(name, read, help));
}

flag command_line::add_list(const std::string& name, std::vector<std::string>& target, const std::string& help) const {
  return flag(*command_->add_option(name, target, help)->allow_extra_args(false));
}

flag command_line::add_flag(const std::string& name, bool& target, const std::string& help) const {
  return flag(*command_->add_flag(name, target, help));
}

command_line command_line::add_command(const std::string& name, const std::string& summary,
                                       const std::string& examples) const {
  CLI::App* const command = command_->add_subcommand(name, summary);
  command->footer("Examples:\n" + examples);
  return command_line(*command);
}

void command_line::need_command() const { command_->require_subcommand(1); }

void command_line::callback(const std::function<void()>& chosen) const { command_->callback(chosen); }

std::size_t choose(const std::string& name, const std::string& text, const std::vector<std::string_view>& words) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end())
    refuse_usage(name + " " + shown(text, 64) + ": must be one of " + joined(words) + did_you_mean(text, words));
  return static_cast<std::size_t>(found - words.begin());
}

flag add_whole(command_line command, const std::string& name, std::uint64_t& target, option_unit unit,
               std::uint64_t least, const std::string& help, std::uint64_t most) {
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
    refuse_usage(name + " " + shown(text, 64) + ": must be " + wanted);
  };
  return command.add_option(name, read, help);
}

flag add_url(command_line command, const std::string& name, std::string& target, const std::string& help) {
  const auto read = [&target](const std::string& text) {
    if (text.starts_with("inproc:"))
      refuse_usage(shown(text, 64) + ": inproc stays in one process, and nobody else reaches it; write ipc://@NAME");
    target = text;
  };
  return command.add_option(name, read, help).required().type_name("");
}

flag add_duration(command_line command, const std::string& name, std::chrono::nanoseconds& target,
                  const std::string& help, std::chrono::nanoseconds least) {
  const auto read = [=, &target](const std::string& text) {
    const auto value = parse_whole(option_unit::duration, text);
    if (!value || *value < static_cast<std::uint64_t>(least.count()) || *value >= std::uint64_t{1} << 62)
      refuse_usage(name + " " + shown(text, 64) + ": must be a duration (500ms, 10s, 1m)");
    target = std::chrono::nanoseconds(*value);
  };
  return command.add_option(name, read, help).type_name("TIME");
}

}  // namespace ferry::app
