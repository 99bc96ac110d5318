#pragma once
/// What a TOML file says, key by key.

#include <ferry/error.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::app {

struct toml_entry {
  std::string key;
  std::optional<std::string> value;  ///< nothing: of a kind that nobody takes
  bool is_table = false;             ///< or several, of another name than the one wanted
  std::string where;                 ///< "FILE:LINE"
};

/// The keys at the top and in the table `table`, in the order of their lines, so that the first mistake of the file is
/// reported first. Lists become "a,b". @param file_name  for `where` @return bad_option: not TOML, with the line
[[nodiscard]] result<std::vector<toml_entry>> toml_entries(std::string_view text, const std::string& file_name,
                                                           std::string_view table);

/// Each of the tables [[NAME]], in the order of the file. @return as of toml_entries()
[[nodiscard]] result<std::vector<std::vector<toml_entry>>> toml_tables(std::string_view text,
                                                                       const std::string& file_name,
                                                                       std::string_view name);

}  // namespace ferry::app
