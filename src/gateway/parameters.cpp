#include "gateway/parameters.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "channel/option_value.hpp"
#include "channel/wording.hpp"

namespace ferry::gateway {
namespace {

using setter = bool (*)(configuration&, std::string_view);

struct row {
  parameter shown;
  const char* form;  // what a value looks like
  setter set;
};

bool read_whole(option_unit unit, std::string_view text, std::uint64_t least, std::uint64_t most, std::uint64_t& into) {
  std::string exact(text);
  // The seed's sizes: 512K is 512 * 1024.
  if (unit == option_unit::size && !exact.empty() &&
      std::string_view("kKmMgG").find(exact.back()) != std::string_view::npos)
    exact += "iB";
  const auto value = parse_whole(unit, exact);
  if (!value || *value < least || *value > most) return false;
  into = *value;
  return true;
}

template <class T>
bool whole(option_unit unit, std::string_view text, T& into, std::uint64_t least,
           std::uint64_t most = std::numeric_limits<T>::max()) {
  std::uint64_t value = 0;
  if (!read_whole(unit, text, least, std::min<std::uint64_t>(most, std::numeric_limits<T>::max()), value)) return false;
  into = static_cast<T>(value);
  return true;
}

// "1m30s": a sum of numbers with units.
bool span_of_time(std::string_view text, duration& into) {
  constexpr std::uint64_t most = 1ull << 62;
  if (text == "0") {
    into = duration::zero();
    return true;
  }
  std::uint64_t sum = 0;
  while (!text.empty()) {
    const auto unit = text.find_first_not_of("0123456789.");
    if (unit == 0 || unit == std::string_view::npos) return false;
    const auto next = std::min(text.size(), text.find_first_of("0123456789.", unit));
    const auto part = parse_whole(option_unit::duration, text.substr(0, next));
    if (!part || *part > most || sum > most - *part) return false;
    sum += *part;
    text.remove_prefix(next);
  }
  into = duration(sum);
  return true;
}

bool switch_of(std::string_view text, bool& into) {
  const auto value = parse_flag(text);
  if (value) into = *value;
  return value.has_value();
}

// ":5000", "host:5000" or a URL.
bool address(std::string_view text, std::string& into) {
  if (text.find("://") != std::string_view::npos) {
    into = std::string(text);
    return true;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size() ||
      text.find_first_not_of("0123456789", colon + 1) != std::string_view::npos)
    return false;
  into = "tcp://" + std::string(colon == 0 ? "*" : text.substr(0, colon)) + std::string(text.substr(colon));
  return true;
}

constexpr const char* k_size = "a size in bytes (65536, 64K, 1M)";
constexpr const char* k_count = "a whole number of at least 1";
constexpr const char* k_time = "a duration (30s, 1m30s); 0: none";
constexpr const char* k_address = "HOST:PORT, :PORT or a URL (tcp://*:5000, tls://*:5001, ipc:///run/gateway.sock)";
constexpr const char* k_flag = "true or false";

constexpr std::uint64_t k_most_packets = 1ull << 30;

const row k_rows[] = {
    {{"client-addr", "ClientAddr", ":0", "Where clients arrive"},
     k_address,
     [](configuration& c, std::string_view v) { return address(v, c.service.clients.url); }},
    {{"server-addr", "ServerAddr", ":0", "Where servers arrive"},
     k_address,
     [](configuration& c, std::string_view v) { return address(v, c.service.servers.url); }},
    {{"server-auth-password", "ServerAuthPassword", "", "The key that servers prove to know", true},
     "a text",
     [](configuration& c, std::string_view v) {
       c.service.server_key = v;
       return true;
     }},
    {{"server-auth-key", "ServerAuthKey", "", "The same, by its other name", true},
     "a text",
     [](configuration& c, std::string_view v) {
       c.service.server_key = v;
       return true;
     }},
    {{"reuse-port", "ReusePort", "false", "Several gateways may listen on one port"},
     k_flag,
     [](configuration& c, std::string_view v) { return switch_of(v, c.service.reuse_port); }},
    {{"max-packet", "MaxPacket", "512K", "Largest length of a packet; above: the physical connection is closed"},
     "a size of 4 bytes to 1G (512K)",
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.service.max_packet, 4, 1u << 30);
     }},
    {{"client-max-conn", "ClientMaxConn", "16", "Virtual connections of a client; above: its dials are refused"},
     k_count,
     [](configuration& c, std::string_view v) { return whole(option_unit::count, v, c.service.client_max_conn, 1); }},
    {{"client-buffer-size", "ClientBufferSize", "2K", "What is read at once; kept for each client"},
     "a size of 64 bytes to 1M (2K)",
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.service.clients.buffer_size, 64, 1 << 20);
     }},
    {{"server-buffer-size", "ServerBufferSize", "64K", "What is read at once; kept for each server"},
     "a size of 64 bytes to 1M (64K)",
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.service.servers.buffer_size, 64, 1 << 20);
     }},
    {{"client-idle-timeout", "ClientIdleTimeout", "30s", "Without a packet for so long a client is closed"},
     k_time,
     [](configuration& c, std::string_view v) { return span_of_time(v, c.service.clients.idle_timeout); }},
    {{"server-idle-timeout", "ServerIdleTimeout", "30s", "The same of a server"},
     k_time,
     [](configuration& c, std::string_view v) { return span_of_time(v, c.service.servers.idle_timeout); }},
    {{"client-send-chan-size", "ClientSendChanSize", "1000", "Packets that may wait for a client"},
     k_count,
     [](configuration& c, std::string_view v) {
       return whole(option_unit::count, v, c.service.clients.send_queue, 1, k_most_packets);
     }},
    {{"server-send-chan-size", "ServerSendChanSize", "100000", "Packets that may wait for a server"},
     k_count,
     [](configuration& c, std::string_view v) {
       return whole(option_unit::count, v, c.service.servers.send_queue, 1, k_most_packets);
     }},
    {{"client-send-bytes", "", "16M", "Bytes that may wait for a client"},
     k_size,
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.service.clients.send_queue_bytes, 1024, 1ull << 40);
     }},
    {{"server-send-bytes", "", "64M", "Bytes that may wait for a server"},
     k_size,
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.service.servers.send_queue_bytes, 1024, 1ull << 40);
     }},
    {{"when-full", "", "close",
      "Then: close who does not read; pause: do not read a client whose server takes no more"},
     "close or pause",
     [](configuration& c, std::string_view v) {
       c.service.when_full = v == "pause" ? overflow::pause : overflow::close;
       return v == "pause" || v == "close";
     }},
    {{"max-members", "", "65536", "Clients and servers together; above: closed as they come"},
     k_count,
     [](configuration& c, std::string_view v) {
       return whole(option_unit::count, v, c.service.max_members, 1, 1u << 31);
     }},
    {{"max-connections", "", "1048576", "Virtual connections of all; above: dials are refused"},
     k_count,
     [](configuration& c, std::string_view v) {
       return whole(option_unit::count, v, c.service.max_connections, 1, 1u << 31);
     }},
    {{"max-arriving", "", "1024", "Servers that have not logged in; above: closed as they come"},
     k_count,
     [](configuration& c, std::string_view v) { return whole(option_unit::count, v, c.service.max_arriving, 1); }},
    {{"server-login-timeout", "", "5s", "For the login of a server"},
     k_time,
     [](configuration& c, std::string_view v) { return span_of_time(v, c.service.login_timeout); }},
    {{"unpredictable-numbers", "", "false", "Numbers of virtual connections do not count up"},
     k_flag,
     [](configuration& c, std::string_view v) { return switch_of(v, c.service.unpredictable_numbers); }},
    {{"mem-pool-type", "MemPoolType", "atom",
      "The kind of memory pool; of the original's three only this one is there"},
     "atom",
     [](configuration&, std::string_view v) { return v == "atom"; }},
    {{"mem-pool-factor", "MemPoolFactor", "2", "Each class of buffers is this many times the one below"},
     "2 to 16",
     [](configuration& c, std::string_view v) { return whole(option_unit::count, v, c.memory.growth, 2, 16); }},
    {{"mem-pool-min-chunk", "MemPoolMinChunk", "64", "Smallest buffer of the pool"},
     "a size of 64 bytes to 64K",
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.memory.min_buffer, 64, 64 << 10);
     }},
    {{"mem-pool-max-chunk", "MemPoolMaxChunk", "64K", "Largest buffer of the pool; above: one exact allocation"},
     "a size of 64 bytes to 16M",
     [](configuration& c, std::string_view v) {
       return whole(option_unit::size, v, c.memory.max_buffer, 64, 16 << 20);
     }},
    {{"stop-within", "", "10s", "After SIGTERM or Ctrl-C: how long virtual connections may go on"},
     k_time,
     [](configuration& c, std::string_view v) { return span_of_time(v, c.stop_within); }},
    {{"insecure", "", "false", "Servers may come from other hosts without a key"},
     k_flag,
     [](configuration& c, std::string_view v) { return switch_of(v, c.insecure); }},
};

bool is_local(std::string_view url) {
  if (url.starts_with("ipc:")) return true;
  for (const std::string_view host : {"://127.0.0.1:", "://localhost:", "://[::1]:"})
    if (url.find(host) != std::string_view::npos) return true;
  return false;
}

}  // namespace

std::span<const parameter> parameter_table() noexcept {
  static const auto all = [] {
    std::array<parameter, std::size(k_rows)> made{};
    std::transform(std::begin(k_rows), std::end(k_rows), made.begin(), [](const row& one) { return one.shown; });
    return made;
  }();
  return all;
}

std::string canonical_parameter_name(std::string_view name) {
  for (const auto& one : k_rows)
    if (one.shown.seed == name && !name.empty()) return std::string(one.shown.name);
  auto made = lower_case(name);
  std::replace(made.begin(), made.end(), '_', '-');
  return made;
}

result<void> set_parameter(configuration& target, std::string_view name, std::string_view value) {
  const auto wanted = canonical_parameter_name(name);
  std::vector<std::string_view> names;
  for (const auto& one : k_rows) {
    names.push_back(one.shown.name);
    if (one.shown.name != wanted) continue;
    auto changed = target;
    if (!one.set(changed, value))
      return error(errc::bad_option, std::string(name) + ": " + (one.shown.secret ? "the value" : shown(value, 64)) +
                                         " must be " + one.form);
    target = std::move(changed);
    return {};
  }
  return error(errc::unknown_option, "unknown parameter '" + shown(name, 64) + "'" + did_you_mean(wanted, names));
}

result<void> check(const configuration& all) {
  if (all.service.server_key.empty() && !all.insecure && !is_local(all.service.servers.url))
    return error(errc::bad_option, "server-addr " + all.service.servers.url +
                                       ": anybody who reaches it could be a server. Give a key "
                                       "(server-auth-key-file), listen on 127.0.0.1, or say insecure");
  if (all.memory.min_buffer > all.memory.max_buffer)
    return error(errc::bad_option, "mem-pool-min-chunk is larger than mem-pool-max-chunk");
  return {};
}

}  // namespace ferry::gateway
