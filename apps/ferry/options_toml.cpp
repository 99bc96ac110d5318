#include "apps/ferry/options_toml.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "apps/ferry/toml_entries.hpp"
#include "channel/option_table.hpp"
#include "channel/wording.hpp"
#include "os/operator_files.hpp"

namespace ferry::app {
namespace {

constexpr std::string_view k_table = "channel";

error unknown_table(std::string_view name) {
  const auto near = did_you_mean(name, std::array{k_table});
  return {errc::unknown_option, "unknown table [" + shown(name, 64) + "]" + near + (near.empty() ? "; " : " ") +
                                    "Options stand at the top or in [channel]"};
}

/// Sets one option; `seen` holds the names of those before it.
result<void> apply(const toml_entry& from, options& target, std::vector<std::string>& seen) {
  const auto name = canonical_option_name(from.key);
  if (from.is_table) return unknown_table(from.key);
  if (!from.value) {
    return error(errc::bad_option, name + ": must be a text, a number, true, false or a list of numbers");
  }
  if (const auto problem = set_option(target, name, *from.value)) {
    return error(problem->unknown ? errc::unknown_option : errc::bad_option, problem->text);
  }
  if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
    return error(errc::bad_option, name + ": is given twice, write it once");
  }
  seen.push_back(name);
  return {};
}

}  // namespace

result<void> set_options_from_toml(options& target, std::string_view text, const std::string& file_name) {
  const auto entries = toml_entries(text, file_name, k_table);
  if (!entries) return entries.error();
  options changed = target;
  std::vector<std::string> seen;
  for (const auto& one : *entries) {
    if (const auto done = apply(one, changed, seen); !done) return done.error().in(one.where);
  }
  target = std::move(changed);
  return {};
}

result<void> set_options_from_toml_file(options& target, const std::string& path) {
  const auto text = os::read_options(path);
  if (!text) return text.error();
  return set_options_from_toml(target, *text, path);
}

}  // namespace ferry::app
