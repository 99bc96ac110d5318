#include "apps/ferry/toml_entries.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "channel/option_value.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_max_file = 1 << 20;

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

struct found {
  const toml::key* key;
  const toml::node* value;
};

}  // namespace

result<std::vector<toml_entry>> toml_entries(std::string_view text, const std::string& file_name,
                                             std::string_view table) {
  toml::table top;
  try {
    top = toml::parse(text);
  } catch (const toml::parse_error& e) {
    return error(errc::bad_option, file_name + ":" + std::to_string(e.source().begin.line) +
                                       ": not TOML: " + std::string(e.description()));
  }
  std::vector<found> all;
  for (const auto& [key, value] : top) {
    const auto* inside = key.str() == table ? value.as_table() : nullptr;
    if (!inside) all.push_back({&key, &value});
    if (!inside) continue;
    for (const auto& [inner, inner_value] : *inside) all.push_back({&inner, &inner_value});
  }
  const auto position = [](const found& one) {
    return std::pair(one.key->source().begin.line, one.key->source().begin.column);
  };
  std::sort(all.begin(), all.end(), [&](const found& a, const found& b) { return position(a) < position(b); });
  std::vector<toml_entry> made;
  for (const auto& [key, value] : all)
    made.push_back({std::string(key->str()), text_of(*value), value->is_table(),
                    file_name + ":" + std::to_string(key->source().begin.line)});
  return made;
}

result<std::string> small_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return error::from_errno(errno, "open " + path);
  std::string text(k_max_file + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return error::from_errno(errno, "read " + path);
  if (text.size() > k_max_file)
    return error(errc::bad_option, path + ": larger than 1 MiB, which no file of options is");
  return text;
}

}  // namespace ferry::app
