#pragma once
/// Figures as `inspect` and `session` show them.

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

#include "channel/option_value.hpp"

namespace ferry::app {

/// "64KiB"
[[nodiscard]] inline std::string size_text(std::uint64_t bytes) { return format_whole(option_unit::size, bytes); }

/// 16 digits.
[[nodiscard]] inline std::string hex(std::uint64_t value) {
  static constexpr char k_digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = k_digits[value & 15];
  return text;
}

/// "2026-03-02 10:27:49 UTC"
[[nodiscard]] inline std::string utc(std::uint64_t nanoseconds_since_1970) {
  const auto seconds = static_cast<std::time_t>(nanoseconds_since_1970 / 1'000'000'000);
  std::tm parts{};
  char text[64]{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "?";
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace ferry::app
