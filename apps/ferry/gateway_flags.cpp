#include "apps/ferry/gateway_flags.hpp"

#include <algorithm>
#include <cctype>

#include "apps/ferry/parameter_sources.hpp"
#include "apps/ferry/toml_entries.hpp"
#include "os/operator_files.hpp"

namespace ferry::app {
namespace {

bool is_switch(std::string_view name) {
  for (const auto& one : gateway::parameter_table())
    if (one.name == name) return one.default_text == "false";
  return false;
}

}  // namespace

std::vector<std::string> spelled_as_ours(std::vector<std::string> words) {
  std::vector<std::string> made;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto name_at = word.find_first_not_of('-');
    if (name_at == 0 || name_at == std::string::npos || name_at > 2 ||
        std::isupper(static_cast<unsigned char>(word[name_at])) == 0) {
      made.push_back(word);
      continue;
    }
    const auto equals = word.find('=');
    const auto name = gateway::canonical_parameter_name(word.substr(name_at, equals - name_at));
    if (equals != std::string::npos)
      made.push_back("--" + name + word.substr(equals));
    else if (is_switch(name))
      made.push_back("--" + name + "=true");
    else if (i + 1 < words.size())
      made.push_back("--" + name + "=" + words[++i]);
    else
      made.push_back("--" + name);
  }
  return made;
}

result<void> set_parameters_from_toml(gateway::configuration& target, std::string_view text,
                                      const std::string& file_name) {
  const auto entries = toml_entries(text, file_name, "gateway");
  if (!entries) return entries.error();
  auto changed = target;
  const auto set = [&](std::string_view name, std::string_view value) { return set_parameter(changed, name, value); };
  if (auto done = set_from_entries(*entries, "[gateway]", gateway::canonical_parameter_name, set); !done) return done;
  target = std::move(changed);
  return {};
}

result<gateway::configuration> gateway_configuration(const gateway_flags& flags,
                                                     std::span<const char* const> environment) {
  gateway::configuration all;
  if (!flags.config.empty()) {
    const auto text = os::read_options(flags.config);
    if (!text) return error(errc::bad_option, "--config: " + text.error().text(), text.error().system_errno());
    if (const auto done = set_parameters_from_toml(all, *text, flags.config); !done) return done.error();
  }
  const auto set = [&](std::string_view name, std::string_view value) { return set_parameter(all, name, value); };
  if (const auto done = set_from_environment(environment, "FERRY_GATEWAY_", set); !done) return done.error();
  for (const auto& [name, value] : flags.values)
    if (const auto done = set_parameter(all, name, value); !done)
      return error(errc::bad_option, "--" + done.error().text());  // which begins with the name
  if (const auto done = read_keys(all); !done) return done.error();
  if (const auto done = check(all); !done) return done.error();
  return all;
}

}  // namespace ferry::app
