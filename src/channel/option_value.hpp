#pragma once
/// Option values as text: one reader and one writer per unit, so that what is written reads back as the same value.

#include <ferry/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// The most that one list of users may hold.
inline constexpr std::size_t k_max_uids = 1024;

/// Reads a whole number of bytes, nanoseconds, things or (octal) permission bits; `unit` is size, duration, count or
/// mode. Unit letters in either case: B, k, kB, M, MB, G, GB (thousands), KiB, MiB, GiB; ns, us, ms, s, m, h.
/// Fractions ("1.5s") are read exactly and must come out whole.
/// @return the value; the largest number if it does not fit into 64 bits; nothing if the text is not of this form
[[nodiscard]] std::optional<std::uint64_t> parse_whole(option_unit unit, std::string_view text);
/// The shortest exact form: "64KiB", "65537", "1500ms", "0660".
[[nodiscard]] std::string format_whole(option_unit unit, std::uint64_t value);

/// Reads "0.2" or "20%"; never a sign, infinity or not-a-number.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);
/// The shortest decimal that reads back as the same number.
[[nodiscard]] std::string format_number(double value);

/// Reads on/off, true/false, yes/no, 1/0 in either case.
[[nodiscard]] std::optional<bool> parse_flag(std::string_view text);
[[nodiscard]] std::string_view format_flag(bool value);

/// Reads at most k_max_uids user numbers 0 .. 4294967294 separated by commas; an empty text is an empty list.
[[nodiscard]] std::optional<std::vector<std::uint32_t>> parse_uids(std::string_view text);
[[nodiscard]] std::string format_uids(const std::vector<std::uint32_t>& uids);

/// ASCII letters made small; everything else as it is.
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace ferry
