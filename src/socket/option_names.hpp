#pragma once
/// What the options of a socket are called: its own, and those of ferry::options with the numbers and spellings that
/// C and Node programs know.

#include <ferry/socket.hpp>

#include <span>
#include <string>
#include <string_view>

namespace ferry::sockets {

/// One row of the table. `name` is an option of ferry::options, or one of the socket itself.
struct option_row {
  socket_option number;
  std::string_view spelling;  ///< "pingInterval"
  std::string_view name;      ///< "ping_interval"
  option_unit unit;
  std::string_view words = {};  ///< of a choice, in the order of their numbers: "graceful, hard"
};
[[nodiscard]] std::span<const option_row> option_rows() noexcept;

/// By its number; null if there is none.
[[nodiscard]] const option_row* find_option(socket_option number) noexcept;
/// By its name or spelling, '-' and '_' and capitals alike; null if there is none.
[[nodiscard]] const option_row* find_option(std::string_view name) noexcept;

/// "-5", "250" -> "250ms", "on", "graceful". @return einval if it is negative or no place of a choice
[[nodiscard]] result<std::string> number_as_text(const option_row& row, std::int64_t number);
/// The other way round; durations in milliseconds, rounded up. @return enoprotoopt if it is a text
[[nodiscard]] result<std::int64_t> text_as_number(const option_row& row, std::string_view text);

}  // namespace ferry::sockets
