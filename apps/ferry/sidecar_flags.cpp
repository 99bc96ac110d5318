#include "apps/ferry/sidecar_flags.hpp"

#include "apps/ferry/parameter_sources.hpp"
#include "os/operator_files.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_tables = "service";  // [[service]]

result<sidecar::entity_settings> entity_of(const sidecar::entity_settings& defaults,
                                           std::span<const toml_entry> table) {
  auto made = defaults;
  bool has_name = false, has_id = false;
  const auto set = [&](std::string_view name, std::string_view value) {
    has_name |= name == "name";
    has_id |= name == "id";
    return set_parameter(made, name, value);
  };
  if (const auto done = set_from_entries(table, "[[service]]", sidecar::canonical_parameter_name, set); !done)
    return done.error();
  if (has_name && has_id) return made;
  return error(errc::bad_option, (table.empty() ? std::string("[[service]]") : table.front().where) + ": " +
                                     (has_name ? "id" : "name") + " of this [[service]] is missing");
}

}  // namespace

result<sidecar::configuration> sidecar_configuration(const sidecar_flags& flags,
                                                     std::span<const char* const> environment) {
  sidecar::configuration all;
  std::vector<std::vector<toml_entry>> tables;
  const auto set = [&](std::string_view name, std::string_view value) { return set_parameter(all, name, value); };
  if (!flags.config.empty()) {
    const auto text = os::read_options(flags.config);
    if (!text) return error(errc::bad_option, "--config: " + text.error().text(), text.error().system_errno());
    auto entries = toml_entries(*text, flags.config, "sidecar");
    if (!entries) return entries.error();
    auto found = toml_tables(*text, flags.config, k_tables);
    if (!found) return found.error();
    tables = std::move(*found);
    if (!tables.empty()) std::erase_if(*entries, [](const toml_entry& one) { return one.key == k_tables; });
    if (const auto done = set_from_entries(*entries, "[sidecar], those of an entity in [[service]]",
                                           sidecar::canonical_parameter_name, set);
        !done)
      return done.error();
  }
  if (const auto done = set_from_environment(environment, "FERRY_SIDECAR_", set); !done) return done.error();
  for (const auto& [name, value] : flags.values)
    if (const auto done = set_parameter(all, name, value); !done)
      return error(done.error().reason(), "--" + done.error().text());  // which begins with the name
  for (const auto& table : tables) {
    auto made = entity_of(all.defaults, table);
    if (!made) return made.error();
    all.process.entities.push_back(std::move(*made));
  }
  for (const auto& text : flags.services) {
    auto made = sidecar::parse_entity(all.defaults, text);
    if (!made) return made.error().in("--service");
    all.process.entities.push_back(std::move(*made));
  }
  if (const auto good = check(all); !good) return good.error();
  return all;
}

}  // namespace ferry::app
