#pragma once
/// One option: where its value is, what that may be, and how it is read, judged and written. The table of all of them
/// is option_table.cpp.

#include <ferry/options.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ferry {

/// Where in `options` its value is.
using option_place = std::variant<std::size_t options::*, std::uint32_t options::*, options::duration options::*,
                                  double options::*, bool options::*, framing_kind options::*, senders_kind options::*,
                                  session_kind options::*, durable_kind options::*, tls_verify_kind options::*,
                                  tls_version_kind options::*, proxy_protocol_kind options::*, compat_kind options::*,
                                  ws_delivery_kind options::*, ws_mask_kind options::*, idle_policy_kind options::*,
                                  std::string options::*, std::vector<std::uint32_t> options::*>;

/// What a value may be: min .. max in bytes, nanoseconds, things or permission bits (numbers: as they are).
struct option_limits {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::string_view zero_means = {};  ///< not empty: 0 is allowed besides min .. max
  std::string_view form = {};        ///< of texts and lists, instead of min and max
};

/// One option. Its default is whatever a default-constructed `options` holds.
struct option_row {
  std::string_view name;
  option_unit unit;
  std::string_view group;    ///< heading of the documentation
  std::string_view applies;  ///< to which schemes
  option_place where;
  option_limits allowed;
  std::string_view help;
};

/// The words of a choice or a switch; empty: it is neither.
[[nodiscard]] std::span<const std::string_view> words_of(const option_row& r);

/// The range, the choices or the form, for people.
[[nodiscard]] std::string values_of(const option_row& r);

[[nodiscard]] std::string write_option(const options& source, const option_row& r);

/// False if the text is not of the unit's form; a value that does not fit into the field becomes its largest one.
[[nodiscard]] bool read_option(options& target, const option_row& r, std::string_view value);

/// Whether the value that is there is allowed.
[[nodiscard]] bool is_allowed(const options& source, const option_row& r);

}  // namespace ferry
