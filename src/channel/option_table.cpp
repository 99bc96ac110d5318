#include "channel/option_table.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "channel/option_field.hpp"
#include "channel/option_value.hpp"
#include "channel/wording.hpp"
#include "net/address_ranges.hpp"
#include "net/tls_names.hpp"
#include "session/login.hpp"

namespace ferry {
namespace {

using row = option_row;

constexpr std::uint64_t k_second = 1'000'000'000;
constexpr std::uint64_t k_millisecond = 1'000'000;
constexpr std::uint64_t k_day = 24 * 3600 * k_second;
constexpr std::uint64_t k_year = 365 * k_day;
constexpr std::uint64_t k_gib = 1ull << 30;
constexpr std::uint64_t k_many = 1'000'000'000;
constexpr std::uint64_t k_longest_keep_alive = 32'767 * k_second;  // Linux keeps it as whole seconds in 15 bits
static_assert(k_gib <= std::numeric_limits<std::uint32_t>::max(), "every framing carries the largest max_message");

using enum option_unit;
using o = options;

constexpr std::string_view k_name_form = "1 .. 63 letters, digits, '.', '-', '_', not beginning with '.'";

constexpr std::string_view k_files_form = "PEM files, separated by commas";

constexpr row option(std::string_view name, option_unit unit, std::string_view group, std::string_view applies,
                     option_place where, option_limits allowed, std::string_view help) {
  return {name, unit, group, applies, where, allowed, help};
}

constexpr std::array k_rows{
    option("max_message", size, "Messages", "all", &o::max_message, {1, k_gib},
           "The largest message; a larger one is refused by the sender and ends the connection at the receiver."),
    option("framing", choice, "Messages", "all", &o::framing, {},
           "How messages lie in a stream; `automatic` is `typed` on inproc, else `varint`. Both ends need "
           "the same."),
    option("deliver_empty", flag, "Messages", "all", &o::deliver_empty, {},
           "Whether received messages without bytes are delivered; `off` skips them silently."),

    option("send_queue_bytes", size, "Queues", "all", &o::send_queue_bytes, {1, 64 * k_gib},
           "High-water mark of what waits to be sent; at it, sending says `full`."),
    option("send_queue_low_bytes", size, "Queues", "all", &o::send_queue_low_bytes,
           {1, 64 * k_gib, "a quarter of send_queue_bytes"},
           "Low-water mark of the send queue; when it is reached from above, the drain event comes."),
    option("send_queue_messages", count, "Queues", "all", &o::send_queue_messages,
           {1, k_many, "no limit but the bytes"}, "How many messages may wait to be sent, besides the limit in bytes."),
    option("receive_queue_bytes", size, "Queues", "all", &o::receive_queue_bytes, {1, 64 * k_gib},
           "High-water mark of what was received and not yet taken; at it, reading from the peer pauses."),
    option("receive_queue_low_bytes", size, "Queues", "all", &o::receive_queue_low_bytes,
           {1, 64 * k_gib, "a quarter of receive_queue_bytes"},
           "Low-water mark of the receive queue; when it is reached from above, reading goes on."),
    option("receive_queue_messages", count, "Queues", "all", &o::receive_queue_messages,
           {1, k_many, "no limit but the bytes"},
           "How many received messages may wait to be taken, besides the limit in bytes."),
    option("senders", choice, "Queues", "all", &o::senders, {},
           "`many` allows sending from any thread; `one` is faster and for one thread at a time."),

    option("spin", duration, "Speed", "ipc, tcp, tls, shm", &o::spin, {1, k_second, "off"},
           "Keep trying to receive for this long before sleeping: shorter round trips for a busy processor."),
    option("batch_bytes", size, "Speed", "ipc, tcp, tls", &o::batch_bytes, {1, 64 << 20},
           "The most that one read and one write move."),

    option(
        "ring_bytes", size, "Shared memory", "shm; ipc, tcp and tls with a session", &o::ring_bytes, {4096, k_gib},
        "The ring that carries what this end sends: a power of two. A message takes at most a quarter of it at once; "
        "a larger one travels in pieces, or in a persistent session not at all."),
    option("sender_rings", count, "Shared memory", "shm", &o::sender_rings, {1, 16},
           "With `senders=many`: how many rings the sending threads share out among them."),
    option("copy", flag, "Shared memory", "shm", &o::copy, {},
           "Whether received messages are copied before they are handed out, for peers that are not trusted to leave "
           "them alone."),
    option("huge_pages", flag, "Shared memory", "shm", &o::huge_pages, {},
           "Whether the rings are made of 2 MiB pages, which the system must have set aside (vm.nr_hugepages)."),
    option("prefault", flag, "Shared memory", "shm", &o::prefault, {},
           "Whether all pages are mapped when connecting instead of at their first use."),
    option("runtime_dir", text, "Shared memory", "shm", &o::runtime_dir, {0, 0, {}, "an absolute path"},
           "Where the sockets of shm endpoints lie; empty: $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/ferry, /run/ferry for "
           "root, else /tmp/ferry-UID."),

    option("session", choice, "Sessions", "ipc, tcp, tls, shm", &o::session, {},
           "`persistent`: every message arrives exactly once, whichever side dies and comes back. Both ends need the "
           "same."),
    option("durable", choice, "Sessions", "ipc, tcp, tls, shm", &o::durable, {},
           "What a message of a persistent session survives once it is sent: the death of both processes, or with "
           "`disk` of the machine too."),
    option("as", text, "Sessions", "ipc, tcp, tls, shm", &o::as, {0, 0, {}, k_name_form},
           "The name of this end of a persistent session."),
    option("peer", text, "Sessions", "ipc, tcp, tls, shm", &o::peer, {0, 0, {}, k_name_form},
           "The name that the other end must have; empty takes any."),
    option("login_data", text, "Sessions", "ipc, tcp, tls, shm", &o::login_data,
           {0, 0, {}, "at most 63 bytes; with compat=tcpshm 1024"},
           "What this end says of itself in its login, or in its answer; the peer finds it in peer_info::login_data."),
    option("dir", text, "Sessions", "ipc, tcp, tls, shm", &o::dir, {0, 0, {}, "an absolute path"},
           "Where the files of persistent sessions lie; empty: $STATE_DIRECTORY, else $XDG_STATE_HOME/ferry."),
    option("max_sessions", count, "Sessions", "ipc listen, tcp listen, tls listen, shm listen", &o::max_sessions,
           {1, 1'000'000},
           "How many persistent sessions this end keeps files of; a peer with a new name is refused then."),
    option("session_wait", duration, "Sessions", "ipc listen, tcp listen, tls listen, shm listen", &o::session_wait,
           {k_millisecond, k_year, "for ever"},
           "How long the channel of an accepted session waits for its peer to come back before it ends with `timeout`; "
           "the files stay, and a peer that comes later gets another channel."),
    option("heartbeat", duration, "Sessions", "ipc, tcp, tls", &o::heartbeat, {k_millisecond, k_day, "off"},
           "After so much silence the peer of a session is asked whether it is there; three times that, and the "
           "connection is lost."),

    option("compat", choice, "tcpshm", "tcp, shm", &o::compat, {},
           "`tcpshm`: a persistent session that speaks tcpshm's protocol. On shm the URL is shm://HOST:PORT then."),
    option("tcpshm_queue_bytes", size, "tcpshm", "tcp, shm", &o::tcpshm_queue_bytes, {128, k_gib},
           "The queue of what this end sends: on tcp a file, of a multiple of 8 bytes (on ARM64 of 16); on shm each of "
           "both "
           "rings, a power of two, of which both ends need the same size. A message takes at most half of it."),
    option("tcpshm_name_size", count, "tcpshm", "tcp, shm", &o::tcpshm_name_size, {2, 64},
           "Bytes of a name in a login, with the zero that ends it. Both ends need the same."),
    option("tcpshm_login_data_bytes", count, "tcpshm", "tcp, shm", &o::tcpshm_login_data_bytes, {1, 1024},
           "Bytes of the client's user data in a login, sizeof of a C struct. Both ends need the same."),
    option("tcpshm_answer_data_bytes", count, "tcpshm", "tcp, shm", &o::tcpshm_answer_data_bytes, {1, 1024},
           "Bytes of the server's user data in its answer. Both ends need the same."),
    option("tcpshm_data_alignment", count, "tcpshm", "tcp, shm", &o::tcpshm_data_alignment, {1, 8},
           "The alignment of both structs: 1, 2, 4 or 8. Both ends need the same."),
    option("tcpshm_big_endian", flag, "tcpshm", "tcp", &o::tcpshm_big_endian, {},
           "Whether numbers on the wire have the most significant byte first. Both ends need the same."),
    option("tcpshm_plain_type", count, "tcpshm", "tcp, shm", &o::tcpshm_plain_type, {1, 65535},
           "The type that a message without one has over there, where 0 is taken."),

    option("tls_certificate", text, "TLS", "tls", &o::tls_certificate, {0, 0, {}, k_files_form},
           "Our certificate and those that lead to its CA; listening needs one. With several, the name that is asked "
           "for chooses."),
    option("tls_key", text, "TLS", "tls", &o::tls_key, {0, 0, {}, k_files_form},
           "The private keys, in the order of the certificates; empty: they are in the files of the certificates."),
    option("tls_key_password_file", text, "TLS", "tls", &o::tls_key_password_file, {0, 0, {}, "a file"},
           "Its first line is the password of encrypted keys."),
    option("tls_ca", text, "TLS", "tls", &o::tls_ca, {0, 0, {}, "a PEM file or a directory"},
           "The CAs that sign the peer's certificate; empty: the system's."),
    option("tls_verify", choice, "TLS", "tls", &o::tls_verify, {},
           "Whether the peer's certificate must hold; `automatic` is `yes` when connecting, and when listening if "
           "tls_ca is set. `optional` (listening): who shows none may come in too."),
    option("tls_server_name", text, "TLS", "tls connect", &o::tls_server_name, {0, 0, {}, "a host name"},
           "The name that is asked for (SNI) and that the certificate must have; empty: the host of the URL."),
    option("tls_alpn", text, "TLS", "tls", &o::tls_alpn, {0, 0, {}, "names of 1 .. 255 bytes, separated by commas"},
           "Application protocols, the preferred one first; the listening end chooses."),
    option("tls_min", choice, "TLS", "tls", &o::tls_min, {}, "The oldest version of TLS that is spoken."),
    option("tls_ciphers", text, "TLS", "tls", &o::tls_ciphers, {0, 0, {}, "OpenSSL's names, separated by colons"},
           "The ciphers that may be used, those of TLS 1.2 and 1.3 in one list; empty: OpenSSL's choice."),
    option("tls_pin", text, "TLS", "tls", &o::tls_pin, {0, 0, {}, net::k_tls_pins_form},
           "The certificates or public keys that the peer may have, whatever their CA says."),
    option("tls_resume", flag, "TLS", "tls", &o::tls_resume, {},
           "Whether sessions are resumed (tickets), which spares a handshake its most expensive part."),

    option("max_frame", size, "WebSocket", "ws", &o::max_frame, {125, k_gib, "max_message"},
           "The largest payload of one frame from the peer; a larger one is refused with close code 1009."),
    option("ws_fragment_above", size, "WebSocket", "ws", &o::ws_fragment_above, {125, k_gib, "off"},
           "A message with more bytes is sent in several frames of this size."),
    option("ws_delivery", choice, "WebSocket", "ws", &o::ws_delivery, {},
           "`pieces`: a message is handed on in parts, as its bytes come, and nothing is gathered."),
    option("ws_compression", flag, "WebSocket", "ws, wss, ws+ipc", &o::ws_compression, {},
           "Whether permessage-deflate is offered when connecting, and taken when listening. It costs processor time "
           "and up to 300 KiB for each connection."),
    option("ws_window_bits", count, "WebSocket", "ws, wss, ws+ipc", &o::ws_window_bits, {9, 15},
           "The window of compression is 2 to the power of this, in both directions."),
    option("ws_context_takeover", flag, "WebSocket", "ws, wss, ws+ipc", &o::ws_context_takeover, {},
           "Whether a compressed message may refer to earlier ones; `off` compresses less and keeps no memory between "
           "messages."),
    option("ws_mask", choice, "WebSocket", "ws+raw, wss+raw", &o::ws_mask, {},
           "Whether frames that we send are masked; `automatic`: those of the connecting end. With `on` or `off` "
           "either is taken from the peer."),
    option("ws_subprotocols", text, "WebSocket", "ws, wss, ws+ipc", &o::ws_subprotocols,
           {0, 0, {}, "names separated by commas"},
           "Subprotocols that we speak, the preferred one first; the listening end chooses."),
    option("ws_origin", text, "WebSocket", "ws connect, wss connect, ws+ipc connect", &o::ws_origin,
           {0, 0, {}, "scheme://host[:port]"}, "The Origin of the request; empty sends none."),
    option("ws_origins", text, "WebSocket", "ws listen, wss listen, ws+ipc listen", &o::ws_origins,
           {0, 0, {}, "origins separated by commas"},
           "The pages that browsers may come from, as they say it: https://example.com; empty takes any."),
    option("ws_headers", text, "WebSocket", "ws connect, wss connect, ws+ipc connect", &o::ws_headers,
           {0, 0, {}, "lines \"Name: value\""}, "More headers of the request."),
    option("ws_max_head", size, "WebSocket", "ws, wss, ws+ipc", &o::ws_max_head, {512, 1 << 20},
           "The most that is read of the peer's side of the handshake."),
    option("ping_interval", duration, "WebSocket", "ws", &o::ping_interval, {k_millisecond, k_day, "off"},
           "The time between two pings."),
    option("ping_timeout", duration, "WebSocket", "ws", &o::ping_timeout, {k_millisecond, k_day, "ping_interval"},
           "How long the answer to a ping may take."),
    option("ping_misses", count, "WebSocket", "ws", &o::ping_misses, {1, 1000},
           "So many pings without an answer in a row, and the connection is lost."),
    option("idle_policy", choice, "WebSocket", "ws", &o::idle_policy, {},
           "`ping`: when an idle time is over, the peer is asked first; the connection ends if it does not answer."),

    option("connect_timeout", duration, "Deadlines", "connect, tcp listen, tls listen, ws listen, wss listen",
           &o::connect_timeout, {1, k_day, "no limit but the system's"},
           "One attempt to connect may take this long, looking up the name and the TLS handshake included; listening "
           "on tls and ws, one handshake, and with proxy_protocol one header."),
    option("write_timeout", duration, "Deadlines", "ipc, tcp, tls, shm", &o::write_timeout, {1, k_day, "no limit"},
           "The connection ends when data waits and the peer takes not a byte for this long."),
    option("read_idle_timeout", duration, "Deadlines", "ipc, tcp, tls, shm", &o::read_idle_timeout, {1, k_year, "off"},
           "The connection ends when nothing was received for this long."),
    option("write_idle_timeout", duration, "Deadlines", "ipc, tcp, tls, shm", &o::write_idle_timeout,
           {1, k_year, "off"}, "The connection ends when nothing was sent for this long."),
    option("idle_timeout", duration, "Deadlines", "ipc, tcp, tls, shm", &o::idle_timeout, {1, k_year, "off"},
           "The connection ends when nothing was sent or received for this long."),
    option("close_timeout", duration, "Deadlines", "all", &o::close_timeout, {1, k_day, "at once"},
           "A graceful close may take this long; what is unsent then is reported."),

    option("reconnect", flag, "Reconnecting", "connect", &o::reconnect, {},
           "Whether a channel connects again, keeping its queue, when its connection is lost or cannot be made."),
    option("reconnect_base", duration, "Reconnecting", "connect", &o::reconnect_base, {k_millisecond, k_day},
           "The delay before the first new attempt."),
    option("reconnect_factor", number, "Reconnecting", "connect", &o::reconnect_factor, {1, 100},
           "Each failed attempt multiplies the delay by this."),
    option("reconnect_jitter", number, "Reconnecting", "connect", &o::reconnect_jitter, {0, 1},
           "The fraction of the delay by which it is shortened or lengthened at random, so that many do not come at "
           "once."),
    option("reconnect_max", duration, "Reconnecting", "connect", &o::reconnect_max, {k_millisecond, k_day},
           "The delay grows no further than this."),
    option("reconnect_attempts", count, "Reconnecting", "connect", &o::reconnect_attempts, {1, k_many, "for ever"},
           "How many attempts may fail in a row before the channel gives up."),
    option("max_send_attempts", count, "Reconnecting", "connect", &o::max_send_attempts, {1, k_many, "never"},
           "A message whose sending was cut off this often is dropped, counted and reported."),

    option("max_connections", count, "Listening", "listen", &o::max_connections, {1, 1'000'000},
           "How many connections there may be at a time; one more is closed at once and counted."),
    option("backlog", count, "Listening", "ipc listen, tcp listen, tls listen, shm listen", &o::backlog, {1, 65'535},
           "How many connections the kernel holds until they are accepted; the system may hold fewer."),
    option("reuse_port", flag, "Listening", "tcp listen, tls listen", &o::reuse_port, {},
           "Whether several listeners may share one port (SO_REUSEPORT)."),
    option("proxy_protocol", choice, "Listening", "tcp listen, tls listen, ws listen, wss listen", &o::proxy_protocol,
           {},
           "`accept`: every connection begins with the PROXY header of a balancer, version 1 or 2, which says who the "
           "client is; one without is refused."),
    option("proxy_from", text, "Listening", "tcp listen, tls listen, ws listen, wss listen", &o::proxy_from,
           {0, 0, {}, net::k_address_ranges_form},
           "The balancers that may send such a header; connections from elsewhere are refused; empty takes any."),

    option("socket_mode", mode, "Unix sockets", "ipc listen, shm listen", &o::socket_mode,
           {1, 0777, "as the umask says"}, "Permissions of the socket file, in octal."),
    option("socket_owner", text, "Unix sockets", "ipc listen, shm listen", &o::socket_owner,
           {0, 0, {}, "user, user:group or :group"},
           "Owner of the socket file, names or numbers; empty leaves it as it was made."),
    option("allow_uids", uids, "Unix sockets", "ipc listen, shm listen", &o::allow_uids,
           {0, 0, {}, "at most 1024 user numbers 0 .. 4294967294, separated by commas"},
           "The users that may connect; empty allows all that the socket file lets in."),

    option("socket_send_buffer", size, "Sockets", "ipc, tcp, tls", &o::socket_send_buffer,
           {1, k_gib, "1 MiB on ipc, else the system's"},
           "The kernel's buffer for sending (SO_SNDBUF); the system may round it up, or limit it."),
    option("socket_receive_buffer", size, "Sockets", "ipc, tcp, tls", &o::socket_receive_buffer,
           {1, k_gib, "the system's"},
           "The kernel's buffer for receiving (SO_RCVBUF); the system may round it up, or limit it."),
    option("no_delay", flag, "Sockets", "tcp, tls", &o::no_delay, {},
           "Whether small writes leave at once (TCP_NODELAY)."),
    option("keep_alive", flag, "Sockets", "tcp, tls", &o::keep_alive, {},
           "Whether the kernel probes a silent connection (SO_KEEPALIVE)."),
    option("keep_alive_idle", duration, "Sockets", "tcp, tls", &o::keep_alive_idle, {k_second, k_longest_keep_alive},
           "Silence before the first probe; the system rounds it to whole seconds."),
    option("keep_alive_interval", duration, "Sockets", "tcp, tls", &o::keep_alive_interval,
           {k_second, k_longest_keep_alive}, "Time between two probes; the system rounds it to whole seconds."),
    option("keep_alive_count", count, "Sockets", "tcp, tls", &o::keep_alive_count, {1, 127},
           "How many unanswered probes end the connection."),

    option("capture", text, "Capturing", "ipc, tcp, tls, ws, inproc", &o::capture, {0, 0, {}, "a file"},
           "A pcap file that all the bytes of the connections are written to, for Wireshark and `ferry replay`; TLS is "
           "taken off first, and HTTP's secrets are blanked out."),
    option("capture_max", size, "Capturing", "ipc, tcp, tls, ws, inproc", &o::capture_max, {4096, 64 * k_gib},
           "The file grows no further than this: the capture then ends, and the channels go on."),
};
const row* find_row(std::string_view name) {
  const auto canonical = canonical_option_name(name);
  const auto* found = std::find_if(k_rows.begin(), k_rows.end(), [&](const row& r) { return r.name == canonical; });
  return found == k_rows.end() ? nullptr : found;
}
/// What the unit's form is, for a value that is not of it; empty where the list of choices says all.
std::string_view expected(option_unit unit, std::string_view value) {
  const bool bare = !value.empty() && value.find_first_not_of("0123456789.") == std::string_view::npos;
  switch (unit) {
    case size: return "not a size in whole bytes (65536, 64KiB, 1MiB, 2k); ";
    case duration: return bare ? "needs a unit (ns, us, ms, s, m, h); " : "not a duration (500us, 10ms, 1.5s, 1m); ";
    case count: return "not a whole number; ";
    case number: return "not a number (0.2 or 20%); ";
    case mode: return "not permissions in octal (0660); ";
    case flag:
    case choice:
    case text:
    case uids: return "";
  }
  return "";
}

option_problem bad_value(const row& r, std::string_view value, std::string_view why) {
  const auto words = words_of(r);
  return {false, std::string(r.name) + "=" + shown(value, 64) + ": " + std::string(why) + "must be " +
                     (words.empty() ? "" : "one of ") + values_of(r) + did_you_mean(lower_case(value), words)};
}

option_problem unknown_name(std::string_view name) {
  return {true, not_known("option", name, canonical_option_name(name), option_names())};
}

std::vector<option_info> make_table() {
  // The texts that are made here live as long as the program, as the table does.
  static const auto values = [] {
    std::vector<std::string> made;
    for (const auto& r : k_rows) made.push_back(values_of(r));
    return made;
  }();
  std::vector<option_info> table;
  for (std::size_t i = 0; i < k_rows.size(); ++i) {
    const auto& r = k_rows[i];
    table.push_back({r.name, r.unit, r.group, values[i], r.applies, r.help, write_option(options{}, r)});
  }
  return table;
}

}  // namespace

std::string canonical_option_name(std::string_view name) {
  auto canonical = lower_case(name);
  std::replace(canonical.begin(), canonical.end(), '-', '_');
  return canonical;
}

std::span<const std::string_view> option_names() {
  static const auto names = [] {
    std::array<std::string_view, k_rows.size()> all;
    std::transform(k_rows.begin(), k_rows.end(), all.begin(), [](const row& r) { return r.name; });
    return all;
  }();
  return names;
}

std::span<const option_info> option_table() {
  static const auto table = make_table();
  return table;
}

std::optional<option_problem> set_option(options& target, std::string_view name, std::string_view value) {
  const auto* r = find_row(name);
  if (!r) return unknown_name(name);
  options changed = target;
  if (!read_option(changed, *r, value)) return bad_value(*r, value, expected(r->unit, value));
  if (!is_allowed(changed, *r)) return bad_value(*r, value, "");
  target = std::move(changed);
  return {};
}

std::string get_option(const options& source, std::string_view name) {
  const auto* r = find_row(name);
  return r ? write_option(source, *r) : std::string();
}

std::optional<option_problem> set_options_from_environment(options& target, std::span<const char* const> environment) {
  constexpr std::string_view prefix = "FERRY_";
  options changed = target;
  for (const char* const pointer : environment) {
    const std::string_view entry = pointer ? pointer : "";
    const auto name = entry.substr(0, entry.find('='));
    const bool capitals = name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == std::string_view::npos;
    if (!name.starts_with(prefix) || name.size() == entry.size() || !capitals) continue;
    const auto option = name.substr(prefix.size());
    if (!find_row(option)) continue;
    if (auto problem = set_option(changed, option, entry.substr(name.size() + 1))) {
      problem->text = "environment variable " + std::string(name) + ": " + problem->text;
      return problem;
    }
  }
  target = std::move(changed);
  return {};
}

namespace {

// What only a session keeps would be a promise that nobody keeps, if the word for it was forgotten.
std::optional<option_problem> check_session(const options& all) {
  if (all.session == session_kind::persistent && all.as.empty())
    return option_problem{false, "session=persistent: needs the name of this end, as=NAME, under which it comes back"};
  if (all.compat != compat_kind::none) return {};
  if (all.session == session_kind::none) {
    const options none;
    for (const std::string_view name : {"as", "peer", "durable"}) {
      const auto value = get_option(all, name);
      if (value != get_option(none, name))
        return option_problem{false, std::string(name) + "=" + value +
                                         ": only a persistent session has that; set session=persistent too"};
    }
    if (all.login_data.empty()) return {};
    return option_problem{false, "login_data: only a persistent session says it; set session=persistent"};
  }
  if (all.login_data.size() <= session::k_login_data_bytes) return {};
  return option_problem{false, "login_data of " + std::to_string(all.login_data.size()) +
                                   " bytes: a persistent session says at most " +
                                   std::to_string(session::k_login_data_bytes) + "; shorten it"};
}

}  // namespace

std::optional<option_problem> check_options(const options& all) {
  for (const auto& r : k_rows) {
    if (!is_allowed(all, r)) return bad_value(r, write_option(all, r), "");
  }
  if (!std::has_single_bit(all.ring_bytes))
    return bad_value(*find_row("ring_bytes"), get_option(all, "ring_bytes"), "must be a power of two; ");
  if (auto problem = check_session(all)) return problem;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 2> k_ordered{{
      {"send_queue_low_bytes", "send_queue_bytes"},
      {"receive_queue_low_bytes", "receive_queue_bytes"},
  }};
  for (const auto& [lower, upper] : k_ordered) {
    const auto low = get_option(all, lower);
    const auto high = get_option(all, upper);
    const auto unit = find_row(lower)->unit;
    if (*parse_whole(unit, low) <= *parse_whole(unit, high)) continue;
    return option_problem{false,
                          std::string(lower) + "=" + low + ": must be at most " + std::string(upper) + "=" + high};
  }
  return {};
}

}  // namespace ferry
