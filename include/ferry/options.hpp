#pragma once
/// What can be set on a channel or a listener. Names, units, defaults and ranges of all of them are one table
/// (`option_table()`), from which URLs, `-o name=value`, TOML, the environment and docs/options.md are made.
/// Includes no Boost.

#include <chrono>
#include <cstddef>
#include <cstdint>
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

/// Zero durations and zero counts mean "off" or "no limit" where the table says so.
struct options {
  using duration = std::chrono::nanoseconds;
  using seconds = std::chrono::seconds;
  using milliseconds = std::chrono::milliseconds;

  // Messages
  std::size_t max_message = 10u << 20;             ///< bytes; larger ones are refused on both sides
  framing_kind framing = framing_kind::automatic;  ///< automatic: varint on ipc and tcp, typed on inproc
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
  session_kind session = session_kind::none;     ///< persistent: exactly once, across the death of either side
  durable_kind durable = durable_kind::process;  ///< what a committed message survives: processes, or the machine too
  std::string as;                                ///< this side's name: 1 .. 63 letters, digits, '.', '-', '_'
  std::string peer;                              ///< the name that is expected of the other side; empty: any
  std::string dir;                               ///< where the files of sessions lie; empty: the system's place
  std::uint32_t max_sessions = 1024;             ///< that a listening end keeps files of
  duration heartbeat = seconds(10);              ///< of silence, until the peer of a session is asked whether it lives

  // Deadlines
  duration connect_timeout = seconds(5);  ///< one attempt to connect, name look-up included
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
