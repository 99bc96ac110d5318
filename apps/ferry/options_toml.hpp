#pragma once
/// Options from a TOML file: keys at the top or in the table [channel], named as everywhere else.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <string>
#include <string_view>

namespace ferry::app {

/// Sets the options that `text` names: `max_message = "1MiB"`, `reconnect = true`, `reconnect_factor = 1.6`,
/// `allow_uids = [0, 1000]`. Sizes and durations with a unit are strings.
/// @param file_name  for error texts, which begin with "FILE:LINE: "
/// @return nothing | errc::unknown_option (the text suggests the near one) | errc::bad_option (not TOML, a value that
///         the option does not take, or one option twice); on an error `target` is as it was
[[nodiscard]] result<void> set_options_from_toml(options& target, std::string_view text, const std::string& file_name);

/// The same with the content of a file of at most 1 MiB.
/// @return as above | the error of opening or reading the file | errc::bad_option for a larger file
[[nodiscard]] result<void> set_options_from_toml_file(options& target, const std::string& path);

}  // namespace ferry::app
