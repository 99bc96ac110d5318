#pragma once
/// What can be set on a channel or a listener. Names, units, defaults and ranges of all of them are one table
/// (`option_table()`), from which URLs, `-o name=value`, TOML, the environment and docs/options.md are made.
/// Includes no Boost.

#include <ferry/http.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

enum class framing_kind : std::uint8_t { automatic, varint, u32, typed };
enum class senders_kind : std::uint8_t { one, many };
enum class session_kind : std::uint8_t { none, persistent };
enum class durable_kind : std::uint8_t { process, disk };
enum class tls_verify_kind : std::uint8_t { automatic, yes, no, optional };
enum class ws_delivery_kind : std::uint8_t { whole, pieces };
enum class ws_mask_kind : std::uint8_t { automatic, on, off };
enum class idle_policy_kind : std::uint8_t { disconnect, ping };
enum class tls_version_kind : std::uint8_t { tls_1_2, tls_1_3 };
enum class compat_kind : std::uint8_t { none, tcpshm };
enum class proxy_protocol_kind : std::uint8_t { off, accept };

struct tls_info;

/// Zero durations and zero counts mean "off" or "no limit" where the table says so.
struct options {
  using duration = std::chrono::nanoseconds;
  using seconds = std::chrono::seconds;
  using milliseconds = std::chrono::milliseconds;

  // Messages
  std::size_t max_message = 10u << 20;             ///< bytes; larger ones are refused on both sides
  framing_kind framing = framing_kind::automatic;  ///< automatic: typed on inproc, else varint
  bool deliver_empty = true;                       ///< false: received empty messages are skipped silently

  // Queues
  std::size_t send_queue_bytes = 4u << 20;     ///< high-water mark; above: errc::full
  std::size_t send_queue_low_bytes = 0;        ///< low-water mark; below: the drain event; 0: a quarter of the high one
  std::size_t send_queue_messages = 0;         ///< 0: bytes alone count
  std::size_t receive_queue_bytes = 4u << 20;  ///< high-water mark; above: reading from the peer pauses
  std::size_t receive_queue_low_bytes = 0;     ///< low-water mark; below: reading goes on; 0: a quarter of the high one
  std::size_t receive_queue_messages = 65536;  ///< limit in messages, besides the one in bytes
  senders_kind senders = senders_kind::one;    ///< many: try_send from any thread

  // Speed
  duration spin{0};                      ///< try to receive for this long before sleeping
  std::size_t batch_bytes = 256u << 10;  ///< bytes per read and per write at most

  // Shared memory
  std::size_t ring_bytes = 1u << 20;  ///< of the ring that carries what this end sends: a power of two
  std::uint32_t sender_rings = 4;     ///< with `senders=many`: rings that the sending threads share out
  bool copy = false;                  ///< hand out copies: for peers that might change a message while it is read
  bool huge_pages = false;            ///< rings of 2 MiB pages (vm.nr_hugepages)
  bool prefault = false;              ///< map all pages at once instead of at the first use
  std::string runtime_dir;            ///< where the sockets of shm endpoints lie; empty: the system's place

  // Sessions
  session_kind session = session_kind::none;       ///< persistent: exactly once, across the death of either side
  durable_kind durable = durable_kind::process;    ///< what a committed message survives: processes, or the machine too
  std::string as;                                  ///< this side's name: 1 .. 63 letters, digits, '.', '-', '_'
  std::string peer;                                ///< the name that is expected of the other side; empty: any
  std::string dir;                                 ///< where the files of sessions lie; empty: the system's place
  std::uint32_t max_sessions = 1024;               ///< that a listening end keeps files of
  duration session_wait = std::chrono::hours(24);  ///< how long an accepted end waits for its peer; 0: for ever
  duration heartbeat = seconds(10);  ///< of silence, until the peer of a session is asked whether it lives

  // tcpshm's protocol (docs/compat-tcpshm.md); both ends need the same of those marked (*)
  compat_kind compat = compat_kind::none;      ///< tcpshm: a session in tcpshm's bytes and files (*)
  std::size_t tcpshm_queue_bytes = 1u << 20;   ///< of the queue file, or of each of the two rings (there *)
  std::uint32_t tcpshm_name_size = 16;         ///< of names, with the zero that ends them (*)
  std::uint32_t tcpshm_login_data_bytes = 1;   ///< user data in a login (*)
  std::uint32_t tcpshm_answer_data_bytes = 1;  ///< user data in the answer (*)
  std::uint32_t tcpshm_data_alignment = 1;     ///< of both as C structs: 1, 2, 4 or 8 (*)
  bool tcpshm_big_endian = false;              ///< byte order over TCP (*)
  std::uint32_t tcpshm_plain_type = 65535;     ///< of messages without a type, over there
  std::string login_data;                      ///< what this end says of itself in any session's login or answer

  // TLS (docs/tls.md)
  std::string tls_certificate;  ///< PEM file: our certificate and what leads to its CA; several, separated by commas
  std::string tls_key;          ///< PEM file of its private key, one for each; empty: it is in the certificate's file
  std::string tls_key_password_file;  ///< whose first line is the password of encrypted keys
  std::string tls_ca;  ///< PEM file or directory of the CAs that sign the peer's certificate; empty: the system's
  tls_verify_kind tls_verify = tls_verify_kind::automatic;  ///< whether the peer must show a certificate that holds
  std::string tls_server_name;  ///< the name that is asked for, and that the certificate must have; empty: the host
  std::string tls_alpn;         ///< application protocols, the preferred one first, separated by commas
  tls_version_kind tls_min = tls_version_kind::tls_1_2;
  std::string tls_ciphers;  ///< OpenSSL's names, separated by ':'; empty: OpenSSL's choice
  std::string tls_pin;      ///< SHA-256 of the certificates or keys that the peer may have, separated by commas
  bool tls_resume = true;   ///< sessions are resumed without another exchange of certificates
  /// Gives the password of an encrypted key file, before tls_key_password_file; called when keys are read, on the
  /// context's thread. Nothing keeps the password.
  std::function<std::string(const std::string& key_file)> tls_key_password;
  /// Asked for every peer that showed a certificate, besides the pins and what tls_verify checks; false refuses it.
  /// Only the members about certificates, and `resumed`, are filled in then. On the context's thread.
  std::function<bool(const tls_info& peer)> tls_check_peer;

  // WebSocket (docs/websocket.md)
  std::size_t max_frame = 0;          ///< bytes of the payload of one frame from the peer; 0: max_message
  std::size_t ws_fragment_above = 0;  ///< bytes of the payload of one frame to the peer; more goes in several; 0: off
  ws_delivery_kind ws_delivery = ws_delivery_kind::whole;  ///< pieces: fragments are handed on as they come
  bool ws_compression = false;                     ///< permessage-deflate is offered, or taken where it is offered
  std::uint32_t ws_window_bits = 15;               ///< of the compressor's window, in both directions: 9 .. 15
  bool ws_context_takeover = true;                 ///< a compressed message may refer to earlier ones; off saves memory
  ws_mask_kind ws_mask = ws_mask_kind::automatic;  ///< raw mode only: whether what we send is masked
  std::string ws_subprotocols;                     ///< that we speak, the preferred one first, separated by commas
  std::string ws_origin;                           ///< that a connecting end says it comes from; empty: it says none
  std::string ws_origins;                          ///< that browsers may come from, separated by commas; empty: any
  std::string ws_headers;              ///< more headers of a connecting end's request, "Name: value", one a line
  std::size_t ws_max_head = 8u << 10;  ///< bytes of the request or the answer that the handshake reads at most
  /// Asked for every request that the other rules let in, on the context's thread.
  http_check ws_check;
  duration ping_interval = seconds(30);  ///< between two pings; 0: none
  duration ping_timeout = seconds(10);   ///< that an answer may take; 0: ping_interval
  std::uint32_t ping_misses = 3;         ///< pings without an answer, in a row, that end the connection
  idle_policy_kind idle_policy = idle_policy_kind::disconnect;  ///< ping: an idle peer is asked before it is given up

  // Deadlines
  duration connect_timeout = seconds(5);  ///< one attempt to connect, name look-up and TLS handshake included
  duration write_timeout = seconds(30);   ///< data waits and the peer takes not a byte for this long
  duration read_idle_timeout{0};          ///< nothing received for this long
  duration write_idle_timeout{0};         ///< nothing sent for this long
  duration idle_timeout{0};               ///< neither for this long
  duration close_timeout = seconds(5);    ///< a graceful close may take this long

  // Reconnecting (connecting ends only)
  bool reconnect = false;
  duration reconnect_base = milliseconds(500);
  double reconnect_factor = 1.6;
  double reconnect_jitter = 0.2;         ///< fraction of the delay, both ways
  duration reconnect_max = seconds(30);  ///< no delay is longer, the first one included
  std::uint32_t reconnect_attempts = 0;  ///< in a row; 0: for ever
  std::uint32_t max_send_attempts = 3;   ///< a message cut off this often is dropped and reported; 0: never

  // Listening
  std::uint32_t max_connections = 10'000;  ///< at a time; one more is closed at once and counted
  std::uint32_t backlog = 1024;            ///< connections that the kernel holds until they are accepted
  bool reuse_port = false;                 ///< SO_REUSEPORT: several listeners share one TCP port
  /// accept: each connection begins with a PROXY header (version 1 or 2), in front of TLS and of everything else
  proxy_protocol_kind proxy_protocol = proxy_protocol_kind::off;
  std::string proxy_from;  ///< addresses and networks that may send one, separated by commas; empty: any

  // Unix sockets
  std::uint32_t socket_mode = 0;          ///< permissions of the socket file, octal; 0: as the umask says
  std::string socket_owner;               ///< "user", "user:group" or ":group"; empty: unchanged
  std::vector<std::uint32_t> allow_uids;  ///< users that may connect; empty: all that the file lets in

  // Sockets
  std::size_t socket_send_buffer = 0;     ///< SO_SNDBUF; 0: 1 MiB on Unix sockets, else the system's
  std::size_t socket_receive_buffer = 0;  ///< SO_RCVBUF; 0: the system's; no effect on Unix sockets
  bool no_delay = true;                   ///< TCP_NODELAY
  bool keep_alive = true;                 ///< SO_KEEPALIVE
  duration keep_alive_idle = seconds(60);
  duration keep_alive_interval = seconds(10);
  std::uint32_t keep_alive_count = 6;

  // Capturing
  std::string capture;                   ///< pcap file that what the streams carry is written to; empty: off
  std::size_t capture_max = 256u << 20;  ///< the file grows no further; the capture then ends
};

/// What can be wrong with an option, with a text that names it and what to do.
struct option_problem {
  bool unknown = false;  ///< no such option (else: its value cannot be used)
  std::string text;      ///< "unknown option 'max_mesage', did you mean 'max_message'? ..." or value, unit and range
};

enum class option_unit : std::uint8_t { size, duration, count, number, flag, choice, text, mode, uids };

/// One row of the table.
struct option_info {
  std::string_view name;  ///< with underscores; `-` and `_` are alike everywhere
  option_unit unit;
  std::string_view group;    ///< heading in the docs
  std::string_view values;   ///< range or choices, for people: "1 .. 1GiB", "varint, u32, typed"
  std::string_view applies;  ///< where: "all", "connect", "listen", "ipc", "tcp", "ipc listen", ...
  std::string_view help;     ///< one sentence
  std::string default_text;  ///< as one would write it: "10MiB", "5s", "off"
};

/// All options in the order of the docs.
[[nodiscard]] std::span<const option_info> option_table();

/// Sets one option by name. Sizes: 65536, 64KiB, 1MiB, 2k (1000). Durations: 500us, 10ms, 2s, 1m, 0; a bare number
/// needs a unit unless it is 0. Flags: on/off, true/false, yes/no, 1/0. Nothing is changed on a problem.
[[nodiscard]] std::optional<option_problem> set_option(options& target, std::string_view name, std::string_view value);

/// The value of one option as text that set_option() reads back; empty if there is no such option.
[[nodiscard]] std::string get_option(const options& source, std::string_view name);

/// Sets every option for which FERRY_<NAME> (capitals) is in `environment` ("NAME=value" entries); entries that name
/// no option are left alone.
[[nodiscard]] std::optional<option_problem> set_options_from_environment(options& target,
                                                                         std::span<const char* const> environment);

/// Members outside their ranges (set without set_option), and what only shows when options are seen together: low marks
/// above high marks. Nothing if all is well.
[[nodiscard]] std::optional<option_problem> check_options(const options& all);

}  // namespace ferry
