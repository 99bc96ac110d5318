#include "apps/ferry/toml_entries.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <utility>

#include "channel/option_value.hpp"

namespace ferry::app {
namespace {

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

result<toml::table> parsed(std::string_view text, const std::string& file_name) {
  try {
    return toml::table(toml::parse(text));
  } catch (const toml::parse_error& e) {
    return error(errc::bad_option, file_name + ":" + std::to_string(e.source().begin.line) +
                                       ": not TOML: " + std::string(e.description()));
  }
}

std::vector<toml_entry> in_order_of_lines(std::vector<found> all, const std::string& file_name) {
  const auto position = [](const found& one) {
    return std::pair(one.key->source().begin.line, one.key->source().begin.column);
  };
  std::sort(all.begin(), all.end(), [&](const found& a, const found& b) { return position(a) < position(b); });
  std::vector<toml_entry> made;
  for (const auto& [key, value] : all)
    made.push_back({std::string(key->str()), text_of(*value), value->is_table() || value->is_array_of_tables(),
                    file_name + ":" + std::to_string(key->source().begin.line)});
  return made;
}

}  // namespace

result<std::vector<toml_entry>> toml_entries(std::string_view text, const std::string& file_name,
                                             std::string_view table) {
  const auto top = parsed(text, file_name);
  if (!top) return top.error();
  std::vector<found> all;
  for (const auto& [key, value] : *top) {
    const auto* inside = key.str() == table ? value.as_table() : nullptr;
    if (!inside) all.push_back({&key, &value});
    if (!inside) continue;
    for (const auto& [inner, inner_value] : *inside) all.push_back({&inner, &inner_value});
  }
  return in_order_of_lines(std::move(all), file_name);
}

result<std::vector<std::vector<toml_entry>>> toml_tables(std::string_view text, const std::string& file_name,
                                                         std::string_view name) {
  const auto top = parsed(text, file_name);
  if (!top) return top.error();
  std::vector<std::vector<toml_entry>> made;
  const auto* list = (*top)[name].as_array();
  if (list == nullptr) return made;
  for (const auto& item : *list) {
    const auto* one = item.as_table();
    if (one == nullptr)
      return error(errc::bad_option, file_name + ":" + std::to_string(item.source().begin.line) + ": " +
                                         std::string(name) + " must be tables [[" + std::string(name) + "]]");
    std::vector<found> all;
    for (const auto& [key, value] : *one) all.push_back({&key, &value});
    made.push_back(in_order_of_lines(std::move(all), file_name));
  }
  return made;
}

}  // namespace ferry::app
