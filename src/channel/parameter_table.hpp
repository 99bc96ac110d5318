#pragma once
/// The parameters of a daemon by name: one table of rows for its command line, files and environment. And the forms
/// that values have there.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "channel/option_value.hpp"
#include "channel/wording.hpp"

namespace ferry {

/// What is shown of a parameter.
struct parameter {
  std::string_view name;          ///< "client-max-conn"
  std::string_view seed;          ///< "ClientMaxConn", as the original has it; empty: it has no such thing
  std::string_view default_text;  ///< as it would be written
  std::string_view help;          ///< for a person, without a full stop
  bool secret = false;            ///< should not stand on a command line
};

/// @tparam T  all that can be set
template <class T>
struct parameter_row {
  parameter shown;
  const char* form;                   ///< what a value looks like
  bool (*set)(T&, std::string_view);  ///< false: the value is none
};

/// "client-max-conn" of "client_max_conn" or "CLIENT_MAX_CONN".
[[nodiscard]] std::string parameter_name_of(std::string_view text);

/// The same, and of a name of the original.
template <class T>
[[nodiscard]] std::string canonical_name(std::span<const parameter_row<T>> rows, std::string_view name) {
  for (const auto& one : rows)
    if (one.shown.seed == name && !name.empty()) return std::string(one.shown.name);
  return parameter_name_of(name);
}

template <class T>
[[nodiscard]] std::vector<parameter> shown_parameters(std::span<const parameter_row<T>> rows) {
  std::vector<parameter> made;
  for (const auto& one : rows) made.push_back(one.shown);
  return made;
}

/// unknown_option. @param names  that there are, of which the near one is told
[[nodiscard]] inline error unknown_parameter(std::string_view name, std::string_view wanted,
                                             std::span<const std::string_view> names) {
  return {errc::unknown_option, "unknown parameter '" + shown(name, 64) + "'" + did_you_mean(wanted, names)};
}

/// @param name  in any spelling @return unknown_option: with the near one | bad_option: with what must be written
/// instead; `target` is as it was
template <class T>
[[nodiscard]] result<void> set_by_name(std::span<const parameter_row<T>> rows, T& target, std::string_view name,
                                       std::string_view value) {
  const auto wanted = canonical_name(rows, name);
  std::vector<std::string_view> names;
  for (const auto& one : rows) {
    names.push_back(one.shown.name);
    if (one.shown.name != wanted) continue;
    auto changed = target;
    if (!one.set(changed, value))
      return error(errc::bad_option, std::string(name) + ": " + (one.shown.secret ? "the value" : shown(value, 64)) +
                                         " must be " + one.form);
    target = std::move(changed);
    return {};
  }
  return unknown_parameter(name, wanted, names);
}

/// A whole number from `least` to `most`; of sizes, K, M and G are 1024, 1024^2 and 1024^3.
[[nodiscard]] bool read_whole(option_unit unit, std::string_view text, std::uint64_t least, std::uint64_t most,
                              std::uint64_t& into);
template <class T>
[[nodiscard]] bool read_whole(option_unit unit, std::string_view text, T& into, std::uint64_t least,
                              std::uint64_t most = std::numeric_limits<T>::max()) {
  std::uint64_t value = 0;
  if (!read_whole(unit, text, least, std::min<std::uint64_t>(most, std::numeric_limits<T>::max()), value)) return false;
  into = static_cast<T>(value);
  return true;
}
/// "1m30s": a sum of numbers with units; "0".
[[nodiscard]] bool read_span_of_time(std::string_view text, duration& into);
/// "true", "off"
[[nodiscard]] bool read_switch(std::string_view text, bool& into);
/// ":5000" (of `host`), "host:5000" or a URL, as a URL.
[[nodiscard]] bool read_address(std::string_view text, std::string& into, std::string_view host = "*");

}  // namespace ferry
