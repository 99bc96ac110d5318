#pragma once
/// The table of options as a page of documentation.

#include <string>

namespace ferry {

/// docs/options.md as it must be: every option with its default, its range, where it applies and what it does.
[[nodiscard]] std::string options_markdown();

}  // namespace ferry
