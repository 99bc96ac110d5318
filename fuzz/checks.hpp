#pragma once
/// What fuzz targets check with.

#include <ferry/options.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

namespace ferry::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

inline bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

/// The values of all options.
inline std::string written(const options& all) {
  std::string text;
  for (const auto& option : option_table()) text += get_option(all, option.name) + '\n';
  return text;
}

}  // namespace ferry::fuzz
