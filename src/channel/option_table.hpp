#pragma once
/// What the table says beyond <ferry/options.hpp>: for parsers of option lists, and for the documentation.

#include <ferry/options.hpp>

#include <span>
#include <string>
#include <string_view>

namespace ferry {

/// The name as the table writes it: small letters, `_` for `-`. Whether such an option exists is not looked at.
[[nodiscard]] std::string canonical_option_name(std::string_view name);

/// The names of all options, in the order of the table.
[[nodiscard]] std::span<const std::string_view> option_names();

}  // namespace ferry
