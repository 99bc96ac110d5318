#pragma once
/// Small parts of error texts: a value made safe to print, a list, and what somebody probably meant.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ferry {

/// `text` for one line of an error text: control characters become \xNN, and what is longer than `max_bytes` is cut
/// and ends in "...".
[[nodiscard]] std::string shown(std::string_view text, std::size_t max_bytes = 200);

/// "a, b, c"
[[nodiscard]] std::string joined(std::span<const std::string_view> names);

/// How many insertions, deletions, changes and swaps of neighbours turn `a` into `b` (optimal string alignment).
/// Time and memory grow with a.size() * b.size(): for names.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name that was probably meant: the nearest one, when at most a third of its letters differ (one in short names).
/// Empty if none is near. Of equally near ones the first with the same first letter wins, else the first.
[[nodiscard]] std::string_view nearest(std::string_view wrong, std::span<const std::string_view> names);

/// ", did you mean 'NAME'?" of the nearest one, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view wrong, std::span<const std::string_view> names);

/// "unknown option 'spni', did you mean 'spin'? Known options: spin, ..."
/// @param kind  "option" @param word  as it was written @param meant  the same, spelled as the names are
[[nodiscard]] std::string not_known(std::string_view kind, std::string_view word, std::string_view meant,
                                    std::span<const std::string_view> names);

}  // namespace ferry
