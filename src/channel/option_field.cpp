#include "channel/option_field.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "channel/option_value.hpp"
#include "channel/wording.hpp"
#include "net/address_ranges.hpp"
#include "net/tls_names.hpp"
#include "session/session_file.hpp"

namespace ferry {
namespace {

using enum option_unit;
using o = options;

constexpr std::array<std::string_view, 4> k_framings{"automatic", "varint", "u32", "typed"};
constexpr std::array<std::string_view, 2> k_senders{"one", "many"};
constexpr std::array<std::string_view, 2> k_sessions{"none", "persistent"};
constexpr std::array<std::string_view, 2> k_durables{"process", "disk"};
constexpr std::array<std::string_view, 4> k_tls_verifies{"automatic", "yes", "no", "optional"};
constexpr std::array<std::string_view, 2> k_tls_versions{"1.2", "1.3"};
constexpr std::array<std::string_view, 2> k_ws_deliveries{"whole", "pieces"};
constexpr std::array<std::string_view, 3> k_ws_masks{"automatic", "on", "off"};
constexpr std::array<std::string_view, 2> k_idle_policies{"disconnect", "ping"};
constexpr std::array<std::string_view, 2> k_proxy_protocols{"off", "accept"};
constexpr std::array<std::string_view, 2> k_flags{"on", "off"};
constexpr std::array<std::string_view, 2> k_compats{"none", "tcpshm"};
static_assert(std::size_t(compat_kind::tcpshm) + 1 == k_compats.size());
static_assert(std::size_t(framing_kind::typed) + 1 == k_framings.size());
static_assert(std::size_t(senders_kind::many) + 1 == k_senders.size());
static_assert(std::size_t(session_kind::persistent) + 1 == k_sessions.size());
static_assert(std::size_t(durable_kind::disk) + 1 == k_durables.size());
static_assert(std::size_t(tls_verify_kind::optional) + 1 == k_tls_verifies.size());
static_assert(std::size_t(tls_version_kind::tls_1_3) + 1 == k_tls_versions.size());
static_assert(std::size_t(ws_delivery_kind::pieces) + 1 == k_ws_deliveries.size());
static_assert(std::size_t(ws_mask_kind::off) + 1 == k_ws_masks.size());
static_assert(std::size_t(idle_policy_kind::ping) + 1 == k_idle_policies.size());
static_assert(std::size_t(proxy_protocol_kind::accept) + 1 == k_proxy_protocols.size());

constexpr auto names_of(framing_kind) { return std::span<const std::string_view>(k_framings); }
constexpr auto names_of(senders_kind) { return std::span<const std::string_view>(k_senders); }
constexpr auto names_of(session_kind) { return std::span<const std::string_view>(k_sessions); }
constexpr auto names_of(durable_kind) { return std::span<const std::string_view>(k_durables); }
constexpr auto names_of(tls_verify_kind) { return std::span<const std::string_view>(k_tls_verifies); }
constexpr auto names_of(ws_delivery_kind) { return std::span<const std::string_view>(k_ws_deliveries); }
constexpr auto names_of(ws_mask_kind) { return std::span<const std::string_view>(k_ws_masks); }
constexpr auto names_of(idle_policy_kind) { return std::span<const std::string_view>(k_idle_policies); }
constexpr auto names_of(tls_version_kind) { return std::span<const std::string_view>(k_tls_versions); }
constexpr auto names_of(compat_kind) { return std::span<const std::string_view>(k_compats); }
constexpr auto names_of(proxy_protocol_kind) { return std::span<const std::string_view>(k_proxy_protocols); }

template <class... Functions>
struct overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
overloaded(Functions...) -> overloaded<Functions...>;
/// "user", "user:group", ":group" or nothing, in printable characters without spaces.
bool is_owner(std::string_view text) {
  const auto printable = [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; };
  return text != ":" && std::count(text.begin(), text.end(), ':') <= 1 && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), printable);
}

/// An absolute path, or nothing.
bool is_directory_name(std::string_view text) {
  return text.empty() || (text.front() == '/' && text.find('\0') == std::string_view::npos);
}

constexpr std::size_t k_max_text = 4096;
constexpr std::size_t k_max_login_data = 1024;
constexpr std::size_t k_max_ws_text = 8192;

/// What goes into a request's head: nothing that would end a line. Headers are lines.
bool is_ws_text(std::string_view text, bool lines) {
  const auto printable = [lines](char c) {
    return (static_cast<unsigned char>(c) >= ' ' && c != 0x7f) || (lines && c == '\n');
  };
  return text.size() <= k_max_ws_text && std::all_of(text.begin(), text.end(), printable);
}

/// Those that OpenSSL or the file system judges.
bool is_judged_elsewhere(std::string options::*at) {
  return at == &o::tls_certificate || at == &o::tls_key || at == &o::tls_key_password_file || at == &o::tls_ca ||
         at == &o::tls_server_name || at == &o::tls_ciphers || at == &o::capture;
}

/// Texts that are a row's value.
bool is_text_for(std::string options::*at, std::string_view text) {
  if (at == &o::socket_owner) return is_owner(text);
  if (at == &o::as || at == &o::peer) return text.empty() || session::check_name(text, "");
  if (at == &o::login_data) return text.size() <= k_max_login_data;
  if (at == &o::tls_pin) return net::parse_tls_pins(text).has_value();
  if (at == &o::proxy_from) return net::parse_address_ranges(text).has_value();
  if (at == &o::tls_alpn) return net::tls_protocol_list(text).has_value();
  if (at == &o::ws_subprotocols || at == &o::ws_origin || at == &o::ws_origins) return is_ws_text(text, false);
  if (at == &o::ws_headers) return is_ws_text(text, true);
  if (is_judged_elsewhere(at)) return text.size() <= k_max_text && text.find('\0') == std::string_view::npos;
  return is_directory_name(text);
}

}  // namespace

std::span<const std::string_view> words_of(const option_row& r) {
  return std::visit(overloaded{[](bool options::*) { return std::span<const std::string_view>(k_flags); },
                               [](framing_kind options::*) { return names_of(framing_kind{}); },
                               [](senders_kind options::*) { return names_of(senders_kind{}); },
                               [](session_kind options::*) { return names_of(session_kind{}); },
                               [](durable_kind options::*) { return names_of(durable_kind{}); },
                               [](tls_verify_kind options::*) { return names_of(tls_verify_kind{}); },
                               [](ws_delivery_kind options::*) { return names_of(ws_delivery_kind{}); },
                               [](ws_mask_kind options::*) { return names_of(ws_mask_kind{}); },
                               [](idle_policy_kind options::*) { return names_of(idle_policy_kind{}); },
                               [](tls_version_kind options::*) { return names_of(tls_version_kind{}); },
                               [](compat_kind options::*) { return names_of(compat_kind{}); },
                               [](proxy_protocol_kind options::*) { return names_of(proxy_protocol_kind{}); },
                               [](auto) { return std::span<const std::string_view>(); }},
                    r.where);
}

std::string values_of(const option_row& r) {
  if (!r.allowed.form.empty()) return std::string(r.allowed.form);
  if (const auto words = words_of(r); !words.empty()) return joined(words);
  const auto written = [&](std::uint64_t value) {
    return r.unit == number ? std::to_string(value) : format_whole(r.unit, value);
  };
  auto range = written(r.allowed.min) + " .. " + written(r.allowed.max);
  return r.allowed.zero_means.empty() ? range : range + ", 0: " + std::string(r.allowed.zero_means);
}

std::string write_option(const options& source, const option_row& r) {
  return std::visit(overloaded{[&](double options::*at) { return format_number(source.*at); },
                               [&](bool options::*at) { return std::string(format_flag(source.*at)); },
                               [&](std::string options::*at) { return source.*at; },
                               [&](std::vector<std::uint32_t> options::*at) { return format_uids(source.*at); },
                               [&](options::duration options::*at) {
                                 const auto ticks = (source.*at).count();
                                 return ticks < 0 ? std::to_string(ticks) + "ns"
                                                  : format_whole(r.unit, std::uint64_t(ticks));
                               },
                               [&](auto options::*at) {
                                 const auto value = static_cast<std::uint64_t>(source.*at);
                                 const auto words = words_of(r);
                                 if (words.empty()) return format_whole(r.unit, value);
                                 return value < words.size() ? std::string(words[value]) : std::to_string(value);
                               }},
                    r.where);
}

bool read_option(options& target, const option_row& r, std::string_view value) {
  const auto put = [&](auto& place, const auto& parsed) {
    if (parsed) place = *parsed;
    return parsed.has_value();
  };
  const auto put_whole = [&](auto& place, std::uint64_t most) {
    const auto parsed = parse_whole(r.unit, value);
    using type = std::remove_reference_t<decltype(place)>;
    if constexpr (std::is_arithmetic_v<type>) {
      if (parsed) place = static_cast<type>(std::min(*parsed, most));
    } else {
      if (parsed) place = type(static_cast<std::int64_t>(std::min(*parsed, most)));
    }
    return parsed.has_value();
  };
  return std::visit(
      overloaded{
          [&](std::size_t options::*at) { return put_whole(target.*at, std::numeric_limits<std::size_t>::max()); },
          [&](std::uint32_t options::*at) { return put_whole(target.*at, std::numeric_limits<std::uint32_t>::max()); },
          [&](options::duration options::*at) {
            return put_whole(target.*at, std::numeric_limits<std::int64_t>::max());
          },
          [&](double options::*at) { return put(target.*at, parse_number(value)); },
          [&](bool options::*at) { return put(target.*at, parse_flag(value)); },
          [&](std::vector<std::uint32_t> options::*at) { return put(target.*at, parse_uids(value)); },
          [&](std::string options::*at) { return (target.*at = value), true; },
          [&](auto options::*at) {
            const auto words = words_of(r);
            const auto word = std::find(words.begin(), words.end(), lower_case(value));
            if (word == words.end()) return false;
            using type = std::remove_reference_t<decltype(target.*at)>;
            target.*at = static_cast<type>(word - words.begin());
            return true;
          }},
      r.where);
}

bool is_allowed(const options& source, const option_row& r) {
  const auto whole = [&](std::uint64_t value) {
    return (value >= r.allowed.min && value <= r.allowed.max) || (value == 0 && !r.allowed.zero_means.empty());
  };
  return std::visit(
      overloaded{
          [&](double options::*at) {
            return source.*at >= double(r.allowed.min) && source.*at <= double(r.allowed.max);
          },
          [&](bool options::*) { return true; }, [&](std::string options::*at) { return is_text_for(at, source.*at); },
          [&](std::vector<std::uint32_t> options::*at) { return parse_uids(format_uids(source.*at)).has_value(); },
          [&](options::duration options::*at) {
            return (source.*at).count() >= 0 && whole(std::uint64_t((source.*at).count()));
          },
          [&](auto options::*at) {
            const auto words = words_of(r);
            const auto value = static_cast<std::uint64_t>(source.*at);
            return words.empty() ? whole(value) : value < words.size();
          }},
      r.where);
}

}  // namespace ferry
