#include <ferry/url.hpp>

#include <algorithm>
#include <array>
#include <boost/url/authority_view.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/pct_string_view.hpp>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "channel/option_table.hpp"
#include "channel/option_value.hpp"
#include "channel/printed_url.hpp"
#include "channel/wording.hpp"

namespace ferry {
namespace {

constexpr std::size_t k_max_url = 65'536;
constexpr std::uint32_t k_max_port = 65'535;

/// What stands between "://" and "?".
enum class form { name, unix_path, host_and_port, resource, generic };

form form_of(std::string_view scheme) {
  if (scheme == "inproc" || scheme == "shm") return form::name;
  if (scheme == "ipc" || scheme == "ws+ipc" || scheme == "sidecar") return form::unix_path;
  if (scheme == "tcp" || scheme == "tls" || scheme == "ws+raw" || scheme == "wss+raw") return form::host_and_port;
  if (scheme == "ws" || scheme == "wss") return form::resource;
  return form::generic;
}

/// WebSocket URLs name a resource, and its query is sent to the server: options come by other ways there.
bool query_belongs_to_request(std::string_view scheme) { return scheme == "ws" || scheme == "wss"; }

/// Where a resource is if its URL names no port. Source: RFC 6455, section 3.
std::uint16_t default_port(std::string_view scheme) { return scheme == "wss" ? 443 : 80; }

/// What is asked for at the place that the path names, over a Unix socket or of a sidecar; all else in the query is
/// options.
bool names_resource(const endpoint& at, std::string_view key) {
  return (at.scheme == "ws+ipc" && key == "path") || (at.scheme == "sidecar" && key == "to");
}

/// An example of each form, for error texts.
std::string_view example_of(std::string_view scheme) {
  if (scheme == "inproc") return "inproc://NAME";
  if (scheme == "shm") return "shm://NAME";
  if (scheme == "ipc") return "ipc:///PATH or ipc://@NAME";
  if (scheme == "tcp") return "tcp://HOST:PORT";
  if (scheme == "tls") return "tls://HOST:PORT";
  if (scheme == "ws") return "ws://HOST:PORT/PATH";
  if (scheme == "wss") return "wss://HOST:PORT/PATH";
  if (scheme == "ws+raw") return "ws+raw://HOST:PORT";
  if (scheme == "wss+raw") return "wss+raw://HOST:PORT";
  if (scheme == "ws+ipc") return "ws+ipc:///SOCKET?path=/PATH";
  if (scheme == "sidecar") return "sidecar:///DIR?to=ENTITY";
  return "tcp://HOST:PORT, ipc:///PATH, ipc://@NAME or shm://NAME";
}

error bad(std::string text) { return {errc::bad_url, std::move(text)}; }

constexpr std::string_view k_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view k_digits = "0123456789";

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }
bool is_unreserved(char c) { return is_one_of(c, k_letters) || is_one_of(c, k_digits) || is_one_of(c, "-._~"); }

/// RFC 3986, 2.1; what is not unreserved or in `kept` is encoded.
std::string encoded(std::string_view text, std::string_view kept) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c) || is_one_of(c, kept)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', hex[byte >> 4], hex[byte & 15]};
    }
  }
  return out;
}

result<std::string> decoded(std::string_view text) {
  const auto view = boost::urls::make_pct_string_view({text.data(), text.size()});
  if (!view) return bad("a '%' in '" + shown(text) + "' has no two hexadecimal digits: write %25 for '%' itself");
  auto plain = view->decode();
  if (plain.find('\0') != std::string::npos) return bad("'" + shown(text) + "' contains a zero byte: leave it out");
  return plain;
}

/// The parts of [USER@]HOST[:PORT]; the host still has its brackets.
struct authority {
  std::string_view host;
  std::optional<std::string_view> port;
};

result<authority> split_authority(std::string_view text) {
  if (is_one_of('@', text)) return bad("'" + shown(text) + "' has a user name: write HOST:PORT alone");
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    const auto rest = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (end == text.npos || (!rest.empty() && rest.front() != ':')) {
      return bad("'" + shown(text) + "' is not an address in brackets: write [::1]:PORT");
    }
    return authority{text.substr(0, end + 1), rest.empty() ? std::nullopt : std::optional(rest.substr(1))};
  }
  const auto colon = text.find(':');
  if (colon == text.npos) return authority{text, {}};
  if (text.find(':', colon + 1) != text.npos) {
    return bad("'" + shown(text) + "' has several colons: write an IPv6 address in brackets, [::1]:PORT");
  }
  return authority{text.substr(0, colon), text.substr(colon + 1)};
}

result<std::uint16_t> parse_port(std::string_view text) {
  std::uint32_t port = 0;
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, port);
  if (text.empty() || read.ptr != end || read.ec != std::errc() || port > k_max_port) {
    return bad("port '" + shown(text, 32) + "': must be 0 .. 65535");
  }
  return static_cast<std::uint16_t>(port);
}

/// What follows '%' in an address: "25eth0" as RFC 6874 writes it, or "eth0" as people do.
result<std::string> parse_zone(std::string_view text) {
  if (text.starts_with("25") && text.size() > 2) {
    auto zone = decoded(text.substr(2));
    if (!zone) return zone;
    return is_one_of('/', *zone) ? bad("'" + shown(*zone) + "' is not a network interface") : zone;
  }
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return is_unreserved(c) || c == ':'; });
  if (text.empty() || !plain) {
    return bad("'" + shown(text) + "' is not a network interface: write one as in [fe80::1%eth0]:PORT");
  }
  return std::string(text);
}

/// "[ADDRESS]" or "[ADDRESS%ZONE]", without the brackets and the zone decoded.
result<std::string> parse_ipv6(std::string_view bracketed) {
  const auto inner = bracketed.substr(1, bracketed.size() - 2);
  const auto percent = inner.find('%');
  const auto address = "[" + std::string(inner.substr(0, percent)) + "]";
  const auto checked = boost::urls::parse_authority(address);
  if (!checked || checked->host_type() != boost::urls::host_type::ipv6) {
    return bad("'" + shown(inner) + "' is not an IPv6 address: write one as in [::1]:PORT");
  }
  if (percent == inner.npos) return std::string(inner);
  auto zone = parse_zone(inner.substr(percent + 1));
  if (!zone) return zone;
  return std::string(inner.substr(0, percent + 1)) + *zone;
}

/// A host name, an IPv4 address, "*" or nothing.
result<std::string> parse_name(std::string_view text) {
  if (text.empty() || text == "*") return std::string(text);
  const auto in_names = [](char c) { return is_one_of(c, k_letters) || is_one_of(c, k_digits) || is_one_of(c, "-._"); };
  if (!std::all_of(text.begin(), text.end(), in_names)) {
    return bad("host '" + shown(text) + "': a host name has letters, digits, '-', '.' and '_' alone");
  }
  if (text.size() > 253)
    return bad("host '" + shown(text, 64) + "' has " + std::to_string(text.size()) +
               " characters: a name has at most 253");
  // A name whose last part is a number would be taken for an address in one of the old forms: 127.1 or 2130706433.
  const auto last = text.substr(text.rfind('.') + 1);
  const auto checked = boost::urls::parse_authority({text.data(), text.size()});
  const bool is_ipv4 = checked && checked->host_type() == boost::urls::host_type::ipv4;
  if (!is_ipv4 && !last.empty() &&
      std::all_of(last.begin(), last.end(), [](char c) { return is_one_of(c, k_digits); })) {
    return bad("host '" + shown(text) + "' is not an IPv4 address: write four numbers 0 .. 255, or a name");
  }
  return std::string(text);
}

result<std::string> parse_host(std::string_view text) {
  return text.starts_with('[') ? parse_ipv6(text) : parse_name(text);
}

result<void> parse_host_and_port(std::string_view where, endpoint& out) {
  if (where.ends_with('/')) where.remove_suffix(1);
  if (const auto slash = where.find('/'); slash != where.npos) {
    return bad("'" + shown(where.substr(slash)) + "' is a path, and " + out.scheme + " has none: write " + out.scheme +
               "://" + shown(where.substr(0, slash)));
  }
  const auto parts = split_authority(where);
  if (!parts) return parts.error();
  if (!parts->port || parts->port->empty()) {
    return bad("no port: write " + out.scheme + "://" + (parts->host.empty() ? "HOST" : shown(parts->host)) + ":PORT");
  }
  auto host = parse_host(parts->host);
  if (!host) return host.error();
  const auto port = parse_port(*parts->port);
  if (!port) return port.error();
  out.host = std::move(*host);
  out.port = *port;
  return {};
}

result<void> parse_unix_path(std::string_view where, endpoint& out) {
  const bool may_be_abstract = out.scheme != "sidecar";  // there it is a directory
  const bool abstract = may_be_abstract && where.starts_with('@');
  if (!abstract && !where.starts_with('/')) {
    const auto path = where.empty() ? std::string("PATH") : shown(where);
    return bad("the path is not absolute: write three slashes and the absolute path, " + out.scheme + ":///" + path +
               (may_be_abstract ? ", or " + out.scheme + "://@NAME for an abstract socket" : ""));
  }
  if (where.size() == 1)
    return bad(abstract ? "no name: write " + out.scheme + "://@NAME" : "no path: write " + out.scheme + ":///PATH");
  auto path = decoded(where);
  if (!path) return path.error();
  out.path = std::move(*path);
  return {};
}

result<void> parse_name_alone(std::string_view where, endpoint& out) {
  if (where.empty()) return bad("no name: write " + out.scheme + "://NAME");
  auto name = decoded(where);
  if (!name) return name.error();
  // It becomes the name of a file.
  if (out.scheme == "shm" && (is_one_of('/', *name) || name->front() == '.'))
    return bad("'" + shown(*name) + "' cannot name a file: write shm://NAME without '/' and not beginning with '.'; " +
               "the directory is the option runtime_dir");
  out.path = std::move(*name);
  return {};
}

/// HOST, HOST:PORT, HOST:PORT/PATH or /PATH.
result<void> parse_generic(std::string_view where, endpoint& out) {
  const auto slash = std::min(where.find('/'), where.size());
  const auto parts = split_authority(where.substr(0, slash));
  if (!parts) return parts.error();
  auto host = parse_host(parts->host);
  if (!host) return host.error();
  const bool resource = form_of(out.scheme) == form::resource;
  const std::uint16_t without = resource ? default_port(out.scheme) : std::uint16_t{0};
  const auto port = parts->port ? parse_port(*parts->port) : result<std::uint16_t>(without);
  if (!port) return port.error();
  auto path = decoded(where.substr(slash));
  if (!path) return path.error();
  if (resource && path->empty()) *path = "/";
  out.host = std::move(*host);
  out.port = *port;
  out.path = std::move(*path);
  return {};
}

result<void> parse_where(std::string_view where, endpoint& out) {
  switch (form_of(out.scheme)) {
    case form::name: return parse_name_alone(where, out);
    case form::unix_path: return parse_unix_path(where, out);
    case form::host_and_port: return parse_host_and_port(where, out);
    case form::resource:
    case form::generic: return parse_generic(where, out);
  }
  return error(errc::bad_url);
}

/// Lower case, and one of the known ones.
result<std::string> parse_scheme(std::string_view text, std::span<const std::string> known) {
  auto scheme = lower_case(text);
  if (std::find(known.begin(), known.end(), scheme) != known.end()) return scheme;
  const std::vector<std::string_view> names(known.begin(), known.end());
  return error(errc::unknown_scheme, not_known("scheme", text, scheme, names));
}

/// KEY=VALUE&KEY=VALUE...; '+' is a plus sign, for this is not a form.
result<void> parse_query(std::string_view text, endpoint& out) {
  while (!text.empty()) {
    const auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = std::min(pair.find('='), pair.size());
    auto key = decoded(pair.substr(0, equals));
    if (!key) return key.error();
    auto value = decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!value) return value.error();
    out.query.emplace_back(std::move(*key), std::move(*value));
  }
  return {};
}

result<void> apply_query(const endpoint& from, options& target) {
  options changed = target;
  std::vector<std::string> seen;
  for (const auto& [key, value] : from.query) {
    auto name = canonical_option_name(key);
    if (names_resource(from, key)) continue;
    if (auto problem = set_option(changed, key, value)) {
      return error(problem->unknown ? errc::unknown_option : errc::bad_option, std::move(problem->text));
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      return error(errc::bad_option, name + "=" + shown(value, 64) + ": is given twice, write it once");
    }
    seen.push_back(std::move(name));
  }
  target = std::move(changed);
  return {};
}

result<endpoint> parse_parts(std::string_view url, options& target, std::span<const std::string> known_schemes) {
  const auto colon = url.find("://");
  if (colon == url.npos || colon == 0) {
    const auto scheme = lower_case(url.substr(0, url.find(':')));
    return bad("not of the form SCHEME://WHERE: write " + std::string(example_of(scheme)));
  }
  auto scheme = parse_scheme(url.substr(0, colon), known_schemes);
  if (!scheme) return scheme.error();
  const auto rest = url.substr(colon + 3);
  if (is_one_of('#', rest)) return bad("'#' and what follows it mean nothing here: write %23 for '#' itself");
  const auto question = std::min(rest.find('?'), rest.size());
  endpoint parsed;
  parsed.scheme = std::move(*scheme);
  if (const auto done = parse_where(rest.substr(0, question), parsed); !done) return done.error();
  const auto query = rest.substr(std::min(question + 1, rest.size()));
  if (const auto done = parse_query(query, parsed); !done) return done.error();
  if (query_belongs_to_request(parsed.scheme)) return parsed;
  if (const auto done = apply_query(parsed, target); !done) return done.error();
  return parsed;
}

/// A host as it stands in a URL: an IPv6 address in brackets, its zone as RFC 6874 wants it.
std::string host_text(const std::string& host) {
  const auto percent = std::min(host.find('%'), host.size());
  const auto address = host.substr(0, percent);
  if (!is_one_of(':', address)) return host;
  return "[" + address +
         (percent < host.size() ? "%25" + encoded(std::string_view(host).substr(percent + 1), "") : "") + "]";
}

std::string query_text(const endpoint& from) {
  std::string out;
  for (const auto& [key, value] : from.query) {
    if (!query_belongs_to_request(from.scheme) && !names_resource(from, key)) continue;
    out += out.empty() ? '?' : '&';
    out += encoded(key, "!$'()*+,;:@/") + "=" + encoded(value, "!$'()*+,;:@/=");
  }
  return out;
}

}  // namespace

std::string endpoint::text() const {
  const auto plain_path = encoded(path, "!$&'()*+,;=:@/");
  const auto port_text = ":" + std::to_string(port);
  const auto start = scheme + "://";
  switch (form_of(scheme)) {
    case form::name:
    case form::unix_path: return start + plain_path + query_text(*this);
    case form::host_and_port: return start + host_text(host) + port_text;
    case form::resource:
      return start + host_text(host) + (port == default_port(scheme) ? "" : port_text) + plain_path + query_text(*this);
    case form::generic: break;
  }
  return start + host_text(host) + (port == 0 ? "" : port_text) + plain_path;
}

std::string printed_url(std::string url, const options& with) {
  const std::string scheme = url.substr(0, url.find(':'));
  // tcpshm's programs meet at a port, and their frames are no choice.
  if (query_belongs_to_request(scheme) || with.compat == compat_kind::tcpshm) return url;
  const std::string needed = scheme == "shm" ? "runtime_dir" : "framing";
  const auto value = get_option(with, needed);
  if (value == get_option({}, needed)) return url;
  return url + (is_one_of('?', url) ? '&' : '?') + needed + '=' + encoded(value, "/");
}

result<endpoint> parse_url(std::string_view url, options& target, std::span<const std::string> known_schemes) {
  if (url.size() > k_max_url) {
    return bad("a URL of " + std::to_string(url.size()) + " bytes: must be at most " + std::to_string(k_max_url));
  }
  auto parsed = parse_parts(url, target, known_schemes);
  if (!parsed && parsed.error() == errc::bad_url) return parsed.error().in("bad URL '" + shown(url) + "'");
  return parsed;
}

}  // namespace ferry
