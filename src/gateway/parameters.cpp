#include "gateway/parameters.hpp"

#include <algorithm>
#include <thread>

#include "gateway/doors.hpp"
#include "os/operator_files.hpp"

namespace ferry::gateway {
namespace {

using row = parameter_row<configuration>;

// ":5000 ws://*:5080/"
bool addresses(std::string_view text, std::string& into) {
  std::string all;
  for (const auto& word : words_of(text)) {
    std::string one;
    if (!read_address(word, one)) return false;
    all += (all.empty() ? "" : " ") + one;
  }
  if (all.empty()) return false;
  into = std::move(all);
  return true;
}

// "4"; "auto" or 0: as many as there are cores.
bool threads(std::string_view text, std::uint32_t& into) {
  if (text != "auto" && !read_whole(option_unit::count, text, into, 0, k_most_threads)) return false;
  if (text == "auto" || into == 0) into = std::clamp(std::thread::hardware_concurrency(), 1u, k_most_threads);
  return true;
}

using side = side_settings settings::*;

template <side which, resume_kind this_one>
bool resume_by(configuration& c, std::string_view text) {
  bool on = false;
  auto& kind = (c.service.*which).resume.kind;
  if (!read_switch(text, on)) return false;
  if (on)
    kind = this_one;
  else if (kind == this_one)
    kind = resume_kind::off;
  return true;
}
template <side which>
bool snet_form(configuration& c, std::string_view text) {
  using codec::snet::form;
  (c.service.*which).resume.stream.form = text == "older" ? form::older : form::newer;
  return text == "older" || text == "newer";
}
template <side which>
bool snet_encrypt(configuration& c, std::string_view text) {
  return read_switch(text, (c.service.*which).resume.stream.encrypt);
}
template <side which>
bool snet_buffer(configuration& c, std::string_view text) {
  return read_whole(option_unit::size, text, (c.service.*which).resume.stream.history_bytes, 1, 1u << 30);
}
template <side which>
bool snet_buffer_limit(configuration& c, std::string_view text) {
  return read_whole(option_unit::size, text, (c.service.*which).resume.stream.history_limit, 0, 1u << 30);
}
template <side which>
bool snet_init_timeout(configuration& c, std::string_view text) {
  return read_span_of_time(text, (c.service.*which).resume.handshake_timeout);
}
template <side which>
bool snet_wait_timeout(configuration& c, std::string_view text) {
  return read_span_of_time(text, (c.service.*which).resume.wait) && (c.service.*which).resume.wait > duration::zero();
}
template <side which>
bool more_options(configuration& c, std::string_view text) {
  (c.service.*which).options = std::string(text);
  return true;
}
template <side which, std::uint32_t address_limits::*limit>
bool limit_of_address(configuration& c, std::string_view text) {
  return read_whole(option_unit::count, text, (c.service.*which).per_address.*limit, 0);
}

template <std::string configuration::*member>
bool any_text(configuration& c, std::string_view text) {
  c.*member = text;
  return true;
}

bool key_of_servers(configuration& c, std::string_view text) {
  c.service.server_key = text;
  return true;
}

constexpr side k_clients = &settings::clients;
constexpr side k_servers = &settings::servers;

constexpr const char* k_size = "a size in bytes (65536, 64K, 1M)";
constexpr const char* k_count = "a whole number of at least 1";
constexpr const char* k_time = "a duration (30s, 1m30s); 0: none";
constexpr const char* k_wait = "a duration (60s, 1m30s)";
constexpr const char* k_history = "a size of 1 byte to 1G (32K)";
constexpr const char* k_options = "options: NAME=VALUE, several with blanks between";
constexpr const char* k_limit = "a whole number; 0: no limit";
constexpr const char* k_form = "newer (fastway's) or older (uniway's)";
constexpr const char* k_address =
    "HOST:PORT, :PORT or a URL (tls://*:5001, ws://*:5080/, ipc:///run/gateway.sock, shm://gateway); several with "
    "blanks between";
constexpr const char* k_flag = "true or false";

constexpr std::uint64_t k_most_packets = 1ull << 30;

const row k_rows[] = {
    {{"client-addr", "ClientAddr", ":0", "Where clients arrive"},
     k_address,
     [](configuration& c, std::string_view v) { return addresses(v, c.service.clients.url); }},
    {{"server-addr", "ServerAddr", ":0", "Where servers arrive"},
     k_address,
     [](configuration& c, std::string_view v) { return addresses(v, c.service.servers.url); }},
    {{"server-auth-password", "ServerAuthPassword", "", "The key that servers prove to know", true},
     "a text",
     key_of_servers},
    {{"server-auth-key", "ServerAuthKey", "", "The same, by its other name", true}, "a text", key_of_servers},
    {{"server-auth-key-file", "", "", "A file with the key of servers; without its last line end"},
     "a path",
     any_text<&configuration::key_file>},
    {{"server-keys-file", "", "", "A file of keys and the IDs that each is good for: lines of IDS KEY"},
     "a path",
     any_text<&configuration::keys_file>},
    {{"admin-addr", "", "", "Where operators ask for /metrics, /healthz and /connections; :PORT is on 127.0.0.1"},
     "HOST:PORT, :PORT or a URL (tcp://127.0.0.1:9090, ipc:///run/gateway-admin.sock)",
     [](configuration& c, std::string_view v) {
       c.admin_url.clear();
       return v.empty() || read_address(v, c.admin_url, "127.0.0.1");
     }},
    {{"name", "", "ferry", "Its process id goes to NAME.pid; one may run of a name in a directory; '': no files"},
     "letters, digits, '.', '-' and '_', or nothing",
     [](configuration& c, std::string_view v) {
       c.name = v;
       return v.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
              std::string_view::npos;
     }},
    {{"pid-file", "", "", "Where its process id goes instead"}, "a path", any_text<&configuration::pid_file>},
    {{"log-file", "", "", "Where the log goes instead of standard error; opened again on SIGHUP"},
     "a path",
     any_text<&configuration::log_file>},
    {{"threads", "", "1", "It runs on so many threads; auto: as many as there are cores"},
     "a number, 1 to 256, or auto",
     [](configuration& c, std::string_view v) { return threads(v, c.service.threads); }},
    {{"spin", "", "50us", "How long each thread looks for more before it sleeps, while more comes in that time"},
     "a duration of at most 1s (50us); 0: not at all",
     [](configuration& c, std::string_view v) {
       return read_span_of_time(v, c.service.spin) && c.service.spin <= std::chrono::seconds(1);
     }},
    {{"reuse-port", "ReusePort", "false", "Several gateways may listen on one port"},
     k_flag,
     [](configuration& c, std::string_view v) { return read_switch(v, c.service.reuse_port); }},
    {{"max-packet", "MaxPacket", "512K", "Largest length of a packet; above: the physical connection is closed"},
     "a size of 4 bytes to 1G (512K)",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.service.max_packet, 4, 1u << 30);
     }},
    {{"client-max-conn", "ClientMaxConn", "16", "Virtual connections of a client; above: its dials are refused"},
     k_count,
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::count, v, c.service.client_max_conn, 1);
     }},
    {{"client-buffer-size", "ClientBufferSize", "2K", "What is read at once; kept for each client"},
     "a size of 64 bytes to 1M (2K)",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.service.clients.buffer_size, 64, 1 << 20);
     }},
    {{"server-buffer-size", "ServerBufferSize", "64K", "What is read at once; kept for each server"},
     "a size of 64 bytes to 1M (64K)",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.service.servers.buffer_size, 64, 1 << 20);
     }},
    {{"client-idle-timeout", "ClientIdleTimeout", "30s", "Without a packet for so long a client is closed"},
     k_time,
     [](configuration& c, std::string_view v) { return read_span_of_time(v, c.service.clients.idle_timeout); }},
    {{"server-idle-timeout", "ServerIdleTimeout", "30s", "The same of a server"},
     k_time,
     [](configuration& c, std::string_view v) { return read_span_of_time(v, c.service.servers.idle_timeout); }},
    {{"client-send-chan-size", "ClientSendChanSize", "1000", "Packets that may wait for a client"},
     k_count,
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::count, v, c.service.clients.send_queue, 1, k_most_packets);
     }},
    {{"server-send-chan-size", "ServerSendChanSize", "100000", "Packets that may wait for a server"},
     k_count,
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::count, v, c.service.servers.send_queue, 1, k_most_packets);
     }},
    {{"client-send-bytes", "", "16M", "Bytes that may wait for a client"},
     k_size,
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.service.clients.send_queue_bytes, 1024, 1ull << 40);
     }},
    {{"server-send-bytes", "", "64M", "Bytes that may wait for a server"},
     k_size,
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.service.servers.send_queue_bytes, 1024, 1ull << 40);
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
       return read_whole(option_unit::count, v, c.service.max_members, 1, 1u << 31);
     }},
    {{"max-connections", "", "1048576", "Virtual connections of all; above: dials are refused"},
     k_count,
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::count, v, c.service.max_connections, 1, 1u << 31);
     }},
    {{"max-arriving", "", "1024", "Servers that have not logged in; above: closed as they come"},
     k_count,
     [](configuration& c, std::string_view v) { return read_whole(option_unit::count, v, c.service.max_arriving, 1); }},
    {{"server-login-timeout", "", "5s", "For the login of a server"},
     k_time,
     [](configuration& c, std::string_view v) { return read_span_of_time(v, c.service.login_timeout); }},
    {{"unpredictable-numbers", "", "false", "Numbers of virtual connections do not count up"},
     k_flag,
     [](configuration& c, std::string_view v) { return read_switch(v, c.service.unpredictable_numbers); }},
    {{"client-options", "", "", "Options of the URLs of clients that do not stand in them (tls_certificate=FILE)"},
     k_options,
     more_options<k_clients>},
    {{"client-snet-enable", "ClientSnetEnable", "false", "Streams that outlive connections, compatible and insecure"},
     k_flag,
     resume_by<k_clients, resume_kind::snet>},
    {{"client-snet-form", "", "newer", "Which of the two handshakes there are"}, k_form, snet_form<k_clients>},
    {{"client-snet-encrypt", "ClientSnetEncrypt", "false", "With RC4, which hides nothing from who tries"},
     k_flag,
     snet_encrypt<k_clients>},
    {{"client-snet-buffer", "ClientSnetBuffer", "32K", "Bytes sent last that can be sent again, for each stream"},
     k_history,
     snet_buffer<k_clients>},
    {{"client-snet-buffer-limit", "", "8M", "To which that grows with what is under way; less than it: it does not"},
     "a size of at most 1G (8M); 0: none",
     snet_buffer_limit<k_clients>},
    {{"client-snet-init-timeout", "ClientSnetInitTimeout", "10s", "For the handshake of such a stream"},
     k_time,
     snet_init_timeout<k_clients>},
    {{"client-snet-wait-timeout", "ClientSnetWaitTimeout", "60s", "How long it is kept without a connection"},
     k_wait,
     snet_wait_timeout<k_clients>},
    {{"client-resume", "", "false", "The same by a token, over TLS 1.3: recommended; buffer and times as above"},
     k_flag,
     resume_by<k_clients, resume_kind::token>},
    {{"client-max-per-address", "", "0", "Connections of one address at a time"},
     k_limit,
     limit_of_address<k_clients, &address_limits::max_connections>},
    {{"client-rate-per-address", "", "0", "New connections of one address a second"},
     k_limit,
     limit_of_address<k_clients, &address_limits::per_second>},
    {{"client-check-command", "", "", "A program that is asked about each client: status 0 lets it in"},
     "a program and its arguments, with blanks between",
     [](configuration& c, std::string_view v) {
       c.service.check.command = v;
       return true;
     }},
    {{"client-check-timeout", "", "5s", "How long it may take; then the client is turned away"},
     k_wait,
     [](configuration& c, std::string_view v) {
       return read_span_of_time(v, c.service.check.timeout) && c.service.check.timeout > duration::zero();
     }},
    {{"client-check-at-once", "", "16", "How many of them run at a time, for each thread"},
     "a whole number of 1 to 1024",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::count, v, c.service.check.at_once, 1, 1024);
     }},
    {{"server-options", "", "", "Options of the URLs of servers that do not stand in them (tls_certificate=FILE)"},
     k_options,
     more_options<k_servers>},
    {{"server-snet-enable", "ServerSnetEnable", "false", "Streams that outlive connections, compatible and insecure"},
     k_flag,
     resume_by<k_servers, resume_kind::snet>},
    {{"server-snet-form", "", "newer", "Which of the two handshakes there are"}, k_form, snet_form<k_servers>},
    {{"server-snet-encrypt", "ServerSnetEncrypt", "false", "With RC4, which hides nothing from who tries"},
     k_flag,
     snet_encrypt<k_servers>},
    {{"server-snet-buffer", "ServerSnetBuffer", "1M", "Bytes sent last that can be sent again, for each stream"},
     k_history,
     snet_buffer<k_servers>},
    {{"server-snet-buffer-limit", "", "8M", "To which that grows with what is under way; less than it: it does not"},
     "a size of at most 1G (8M); 0: none",
     snet_buffer_limit<k_servers>},
    {{"server-snet-init-timeout", "ServerSnetInitTimeout", "10s", "For the handshake of such a stream"},
     k_time,
     snet_init_timeout<k_servers>},
    {{"server-snet-wait-timeout", "ServerSnetWaitTimeout", "60s", "How long it is kept without a connection"},
     k_wait,
     snet_wait_timeout<k_servers>},
    {{"server-resume", "", "false", "The same by a token, over TLS 1.3: recommended; buffer and times as above"},
     k_flag,
     resume_by<k_servers, resume_kind::token>},
    {{"server-max-per-address", "", "0", "Connections of one address at a time"},
     k_limit,
     limit_of_address<k_servers, &address_limits::max_connections>},
    {{"server-rate-per-address", "", "0", "New connections of one address a second"},
     k_limit,
     limit_of_address<k_servers, &address_limits::per_second>},
    {{"server-max-failures", "", "10", "Wrong proofs of one address within a minute; then it is shut out for one"},
     k_limit,
     limit_of_address<k_servers, &address_limits::max_failures>},
    {{"server-auth", "", "any", "How servers may prove that they know the key"},
     "any (MD5 or HMAC-SHA-256) or hmac",
     [](configuration& c, std::string_view v) {
       c.service.login = v == "hmac" ? login_kind::hmac : login_kind::any;
       return v == "hmac" || v == "any";
     }},
    {{"connect-address", "", "false", "Connect tells a server the address of the client, behind its arguments"},
     k_flag,
     [](configuration& c, std::string_view v) { return read_switch(v, c.service.connect_address); }},
    {{"mem-pool-type", "MemPoolType", "atom", "The kind of memory pool (docs/buffer-pools.md)"},
     "sync, atom or chan",
     [](configuration& c, std::string_view v) {
       c.pool_kind = v == "sync"   ? buffer_pool_kind::sync
                     : v == "chan" ? buffer_pool_kind::chan
                                   : buffer_pool_kind::atom;
       return v == "sync" || v == "chan" || v == "atom";
     }},
    {{"mem-pool-page-size", "MemPoolPageSize", "1M", "Memory of each class of buffers that is kept in one piece"},
     "a size of at most 1G (1M); 0: none",
     [](configuration& c, std::string_view v) { return read_whole(option_unit::size, v, c.slab_bytes, 0, 1u << 30); }},
    {{"mem-pool-limit", "", "4G", "All memory of the pool; above: who does not read is closed"},
     "a size of 1M to 1024G",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.memory.max_bytes, 1 << 20, 1ull << 40);
     }},
    {{"snet-memory", "", "2G", "Of that, what the histories of resumable streams may grow by, all together"},
     "a size of at most 1024G; 0: they do not grow",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.service.history_memory, 0, 1ull << 40);
     }},
    {{"mem-pool-factor", "MemPoolFactor", "2", "Each class of buffers is this many times the one below"},
     "2 to 16",
     [](configuration& c, std::string_view v) { return read_whole(option_unit::count, v, c.memory.growth, 2, 16); }},
    {{"mem-pool-min-chunk", "MemPoolMinChunk", "64", "Smallest buffer of the pool"},
     "a size of 64 bytes to 64K",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.memory.min_buffer, 64, 64 << 10);
     }},
    {{"mem-pool-max-chunk", "MemPoolMaxChunk", "64K", "Largest buffer of the pool; above: one exact allocation"},
     "a size of 64 bytes to 16M",
     [](configuration& c, std::string_view v) {
       return read_whole(option_unit::size, v, c.memory.max_buffer, 64, 16 << 20);
     }},
    {{"stop-within", "", "10s", "After SIGTERM or Ctrl-C: how long virtual connections may go on"},
     k_time,
     [](configuration& c, std::string_view v) { return read_span_of_time(v, c.stop_within); }},
    {{"insecure", "", "false", "Servers may come from other hosts without a key"},
     k_flag,
     [](configuration& c, std::string_view v) { return read_switch(v, c.insecure); }},
};

constexpr std::span<const row> k_all = k_rows;

bool is_local(std::string_view url) {
  if (url.starts_with("ipc:") || url.starts_with("shm:")) return true;
  for (const std::string_view host : {"://127.0.0.1:", "://localhost:", "://[::1]:"})
    if (url.find(host) != std::string_view::npos) return true;
  return false;
}

// Whether only those reach it who run on this host, or show a certificate.
bool is_guarded(const std::string& url, const std::string& more) {
  if (is_local(url)) return true;
  if (!url.starts_with("tls:") && !url.starts_with("wss:")) return false;
  // What the URL says comes after the other options, and counts.
  constexpr std::string_view option = "tls_verify=", asks = "tls_verify=yes";
  const auto all = more + " " + url;
  const auto at = all.rfind(option);
  return at != std::string::npos && std::string_view(all).substr(at).starts_with(asks);
}

result<void> check_side(const std::string& name, const side_settings& all) {
  if (const auto good = options_of(all); !good)
    return error(errc::bad_option, name + "-options: " + good.error().text());
  if (all.resume.kind != resume_kind::token) return {};
  for (const auto& url : words_of(all.url))
    if (url.starts_with("tcp:") || url.starts_with("ipc:"))
      return error(errc::bad_option, name + "-resume: " + url + " is not secret; use tls://, or " + name +
                                         "-snet-enable if that is all that the peers speak");
  return {};
}

}  // namespace

std::span<const parameter> parameter_table() noexcept {
  static const auto all = shown_parameters(k_all);
  return all;
}

std::string canonical_parameter_name(std::string_view name) { return canonical_name(k_all, name); }

result<void> set_parameter(configuration& target, std::string_view name, std::string_view value) {
  return set_by_name(k_all, target, name, value);
}

result<void> check(const configuration& all) {
  const bool keyless = all.service.server_key.empty() && all.service.server_keys.empty();
  if (keyless && !all.insecure)
    for (const auto& url : words_of(all.service.servers.url))
      if (!is_guarded(url, all.service.servers.options))
        return error(errc::bad_option, "server-addr " + url +
                                           ": anybody who reaches it could be a server. Give a key "
                                           "(server-auth-key-file), listen on 127.0.0.1, ask for certificates "
                                           "(tls_verify=yes), or say insecure");
  if (!all.insecure && !all.admin_url.empty() && !is_local(all.admin_url))
    return error(errc::bad_option,
                 "admin-addr " + all.admin_url +
                     ": anybody who reaches it sees who is there. Listen on 127.0.0.1 or say insecure");
  if (auto good = check_side("client", all.service.clients); !good) return good;
  if (auto good = check_side("server", all.service.servers); !good) return good;
  if (all.memory.min_buffer > all.memory.max_buffer)
    return error(errc::bad_option, "mem-pool-min-chunk is larger than mem-pool-max-chunk");
  return {};
}

result<void> read_keys(configuration& all) {
  const int ways =
      (all.key_file.empty() ? 0 : 1) + (all.keys_file.empty() ? 0 : 1) + (all.service.server_key.empty() ? 0 : 1);
  if (ways > 1)
    return error(errc::bad_option,
                 "server-auth-key, server-auth-key-file and server-keys-file: more than one is given, write one");
  if (!all.key_file.empty()) {
    auto key = os::read_options(all.key_file);
    if (!key) return error(errc::bad_option, "server-auth-key-file: " + key.error().text(), key.error().system_errno());
    while (key->ends_with('\n') || key->ends_with('\r')) key->pop_back();
    if (key->empty()) return error(errc::bad_option, "server-auth-key-file: " + all.key_file + " is empty");
    all.service.server_key = std::move(*key);
  }
  if (all.keys_file.empty()) return {};
  const auto text = os::read_options(all.keys_file);
  if (!text) return error(errc::bad_option, "server-keys-file: " + text.error().text(), text.error().system_errno());
  auto keys = parse_server_keys(*text, all.keys_file);
  if (!keys) return keys.error().in("server-keys-file");
  all.service.server_keys = std::move(*keys);
  return {};
}

}  // namespace ferry::gateway
