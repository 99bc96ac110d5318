#include "apps/ferry/gateway_flags.hpp"

#include <algorithm>
#include <cctype>

#include "apps/ferry/toml_entries.hpp"
#include "channel/wording.hpp"

namespace ferry::app {
namespace {

bool is_switch(std::string_view name) {
  for (const auto& one : gateway::parameter_table())
    if (one.name == name) return one.default_text == "false";
  return false;
}

result<void> set_from_environment(gateway::configuration& target, std::span<const char* const> environment) {
  constexpr std::string_view prefix = "FERRY_GATEWAY_";
  for (const std::string_view entry : environment) {
    const auto equals = entry.find('=');
    if (!entry.starts_with(prefix) || equals == std::string_view::npos) continue;
    const auto done =
        set_parameter(target, entry.substr(prefix.size(), equals - prefix.size()), entry.substr(equals + 1));
    if (!done) return done.error().in("environment variable " + shown(entry.substr(0, equals), 64));
  }
  return {};
}

result<void> read_keys(gateway::configuration& all) {
  const int ways =
      (all.key_file.empty() ? 0 : 1) + (all.keys_file.empty() ? 0 : 1) + (all.service.server_key.empty() ? 0 : 1);
  if (ways > 1)
    return error(errc::bad_option,
                 "server-auth-key, server-auth-key-file and server-keys-file: more than one is given, write one");
  if (!all.key_file.empty()) {
    auto key = small_file(all.key_file);
    if (!key) return error(errc::bad_option, "server-auth-key-file: " + key.error().text(), key.error().system_errno());
    while (key->ends_with('\n') || key->ends_with('\r')) key->pop_back();
    if (key->empty()) return error(errc::bad_option, "server-auth-key-file: " + all.key_file + " is empty");
    all.service.server_key = std::move(*key);
  }
  if (all.keys_file.empty()) return {};
  const auto text = small_file(all.keys_file);
  if (!text) return error(errc::bad_option, "server-keys-file: " + text.error().text(), text.error().system_errno());
  auto keys = gateway::parse_server_keys(*text, all.keys_file);
  if (!keys) return keys.error().in("server-keys-file");
  all.service.server_keys = std::move(*keys);
  return {};
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
  std::vector<std::string> seen;
  for (const auto& one : *entries) {
    const auto name = gateway::canonical_parameter_name(one.key);
    if (one.is_table)
      return error(errc::unknown_option, one.where + ": unknown table [" + shown(one.key, 64) +
                                             "]; parameters stand at the top or in [gateway]");
    if (!one.value)
      return error(errc::bad_option, one.where + ": " + name + ": must be a text, a number, true or false");
    if (const auto done = set_parameter(changed, one.key, *one.value); !done) return done.error().in(one.where);
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return error(errc::bad_option, one.where + ": " + name + ": is given twice, write it once");
    seen.push_back(name);
  }
  target = std::move(changed);
  return {};
}

result<gateway::configuration> gateway_configuration(const gateway_flags& flags,
                                                     std::span<const char* const> environment) {
  gateway::configuration all;
  if (!flags.config.empty()) {
    const auto text = small_file(flags.config);
    if (!text) return error(errc::bad_option, "--config: " + text.error().text(), text.error().system_errno());
    if (const auto done = set_parameters_from_toml(all, *text, flags.config); !done) return done.error();
  }
  if (const auto done = set_from_environment(all, environment); !done) return done.error();
  for (const auto& [name, value] : flags.values)
    if (const auto done = set_parameter(all, name, value); !done)
      return error(errc::bad_option, "--" + done.error().text());  // which begins with the name
  if (const auto done = read_keys(all); !done) return done.error();
  if (const auto done = check(all); !done) return done.error();
  return all;
}

}  // namespace ferry::app
