#include "apps/ferry/parameter_sources.hpp"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "channel/wording.hpp"

namespace ferry::app {

std::span<const char* const> environment_of_process() noexcept {
  std::size_t count = 0;
  while (environ[count] != nullptr) ++count;
  return {environ, count};
}

result<void> set_from_environment(std::span<const char* const> environment, std::string_view prefix,
                                  const parameter_setter& set) {
  for (const std::string_view entry : environment) {
    const auto equals = entry.find('=');
    if (!entry.starts_with(prefix) || equals == std::string_view::npos) continue;
    const auto done = set(entry.substr(prefix.size(), equals - prefix.size()), entry.substr(equals + 1));
    if (!done) return done.error().in("environment variable " + shown(entry.substr(0, equals), 64));
  }
  return {};
}

result<void> set_from_entries(std::span<const toml_entry> entries, std::string_view table,
                              const std::function<std::string(std::string_view)>& canonical,
                              const parameter_setter& set) {
  std::vector<std::string> seen;
  for (const auto& one : entries) {
    const auto name = canonical(one.key);
    if (one.is_table)
      return error(errc::unknown_option, one.where + ": unknown table [" + shown(one.key, 64) +
                                             "]; parameters stand at the top or in " + std::string(table));
    if (!one.value)
      return error(errc::bad_option, one.where + ": " + name + ": must be a text, a number, true or false");
    if (const auto done = set(one.key, *one.value); !done) return done.error().in(one.where);
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return error(errc::bad_option, one.where + ": " + name + ": is given twice, write it once");
    seen.push_back(name);
  }
  return {};
}

}  // namespace ferry::app
