#include "apps/ferry/options_toml.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "channel/option_table.hpp"
#include "channel/option_value.hpp"
#include "channel/wording.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_max_file = 1 << 20;
constexpr std::string_view k_table = "channel";

/// The value as the table of options reads it, or nothing for a kind that no option takes.
std::optional<std::string> text_of(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* whole = value.as_integer()) return std::to_string(whole->get());
  if (const auto* number = value.as_floating_point()) return format_number(number->get());
  if (const auto* flag = value.as_boolean()) return std::string(format_flag(flag->get()));
  const auto* list = value.as_array();
  if (!list) return {};
  std::string joined_items;
  for (const auto& item : *list) {
    const auto text = item.is_array() ? std::nullopt : text_of(item);
    if (!text) return {};
    if (!joined_items.empty()) joined_items += ',';
    joined_items += *text;
  }
  return joined_items;
}

struct entry {
  const toml::key* key;
  const toml::node* value;
};

/// The keys at the top and in [channel] in the order of their lines, so that the first mistake of the file is reported.
std::vector<entry> entries_of(const toml::table& top) {
  std::vector<entry> entries;
  for (const auto& [key, value] : top) {
    const auto* channel = key.str() == k_table ? value.as_table() : nullptr;
    if (!channel) entries.push_back({&key, &value});
    if (!channel) continue;
    for (const auto& [inner, inner_value] : *channel) entries.push_back({&inner, &inner_value});
  }
  const auto position = [](const entry& e) {
    return std::pair(e.key->source().begin.line, e.key->source().begin.column);
  };
  std::sort(entries.begin(), entries.end(), [&](const entry& a, const entry& b) { return position(a) < position(b); });
  return entries;
}

error unknown_table(std::string_view name) {
  const auto near = did_you_mean(name, std::array{k_table});
  return {errc::unknown_option, "unknown table [" + shown(name, 64) + "]" + near + (near.empty() ? "; " : " ") +
                                    "Options stand at the top or in [channel]"};
}

/// Sets one option; `seen` holds the names of those before it.
result<void> apply(const entry& from, options& target, std::vector<std::string>& seen) {
  const auto name = canonical_option_name(from.key->str());
  if (from.value->is_table()) return unknown_table(from.key->str());
  const auto text = text_of(*from.value);
  if (!text) {
    return error(errc::bad_option, name + ": must be a text, a number, true, false or a list of numbers");
  }
  if (const auto problem = set_option(target, name, *text)) {
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
  toml::table top;
  try {
    top = toml::parse(text);
  } catch (const toml::parse_error& e) {
    return error(errc::bad_option, file_name + ":" + std::to_string(e.source().begin.line) +
                                       ": not TOML: " + std::string(e.description()));
  }
  options changed = target;
  std::vector<std::string> seen;
  for (const auto& entry : entries_of(top)) {
    const auto line = std::to_string(entry.key->source().begin.line);
    if (const auto done = apply(entry, changed, seen); !done) return done.error().in(file_name + ":" + line);
  }
  target = std::move(changed);
  return {};
}

result<void> set_options_from_toml_file(options& target, const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return error::from_errno(errno, "open " + path);
  std::string text(k_max_file + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return error::from_errno(errno, "read " + path);
  if (text.size() > k_max_file) {
    return error(errc::bad_option, path + ": larger than 1 MiB, which no file of options is");
  }
  return set_options_from_toml(target, text, path);
}

}  // namespace ferry::app
