#pragma once
/// What this machine can do, measured with bare system calls and no channel: the bar that a channel is held against.
///
/// Every measurement runs in child processes of its own (see child.hpp), so the caller's placement, heap and
/// descriptors do not matter, and none is left behind, whatever the outcome. Every function blocks the calling thread
/// for about the duration asked for; different threads may measure at the same time, but then they measure each other.
/// The calling thread must live until the function returns: children die with it.
///
/// Outcomes of every measure_ function: the figures | errc::misuse (an argument outside the range given below) |
/// errc::unsupported (two cores are needed and this process may use one) | errc::timeout (a child hung and was killed)
/// | errc::corrupt (what arrived is not what was sent) | the error of the system call that failed.

#include <ferry/error.hpp>

#include <boost/json/fwd.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::bench {

enum class stream_kind {
  unix_socket,  ///< socketpair(AF_UNIX, SOCK_STREAM), SO_SNDBUF of 1 MiB (or what net.core.wmem_max leaves of it)
  tcp,          ///< 127.0.0.1, TCP_NODELAY, buffers as the kernel tunes them
};

/// "unix", "tcp".
[[nodiscard]] const char* to_string(stream_kind kind) noexcept;

/// Two cores; `first` runs the side that is measured (writer, asker, server, relay), `second` its peer.
struct core_pair {
  int first = 0;
  int second = 1;
};

/// Where the processes of one measurement run; nullopt: where the scheduler puts them.
using placement = std::optional<core_pair>;

/// The core of one of the two processes: core_of(where, &core_pair::first).
[[nodiscard]] inline std::optional<int> core_of(const placement& where, int core_pair::*which) {
  return where ? std::optional((*where).*which) : std::nullopt;
}

/// The first two cores that this process may use, or errc::unsupported.
[[nodiscard]] result<core_pair> two_cores();

// ---- one run each: for benches that measure the limit between their own runs ----

struct cache_line_run {
  double p50_ns = 0;   ///< median over trains of 1000 round trips, each train timed as a whole
  double mean_ns = 0;  ///< over all trains
};
/// One cache line to the other core and back, two processes, busy polling. Without a placement: two_cores().
[[nodiscard]] result<cache_line_run> measure_cache_line(std::chrono::nanoseconds duration, placement cores);

struct memcpy_run {
  double hot_bytes_per_second = 0;      ///< 16 KiB to 16 KiB, again and again: both stay in the first-level cache
  double walking_bytes_per_second = 0;  ///< 64 KiB at a time through two regions of `walk` bytes
};
/// @param walk bytes of each region, a multiple of 64 KiB; more than the last-level cache says what memory can do
[[nodiscard]] result<memcpy_run> measure_memcpy(std::chrono::nanoseconds duration, placement cores,
                                                std::size_t walk = std::size_t{128} << 20);

enum class wait_mode {
  blocking,  ///< read sleeps in the kernel
  spinning,  ///< a non-blocking recv, tried again until something is there
};
struct pingpong_run {
  std::uint64_t round_trips = 0;
  double p50_ns = 0;
  double p99_ns = 0;
  double mean_ns = 0;
};
/// 64 bytes there and back between two processes, each round trip timed. Spinning without a placement: two_cores().
/// Ends after `duration` or `count` round trips (1 .. 2^24), whichever comes first.
[[nodiscard]] result<pingpong_run> measure_pingpong(stream_kind kind, wait_mode mode, placement cores,
                                                    std::chrono::nanoseconds duration,
                                                    std::uint64_t count = std::uint64_t{1} << 24);

struct oneway_run {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  ///< payload alone: messages * size
  double seconds = 0;       ///< from the first write to the end of the stream at the reader
  [[nodiscard]] double messages_per_second() const noexcept { return static_cast<double>(messages) / seconds; }
  [[nodiscard]] double bytes_per_second() const noexcept { return static_cast<double>(bytes) / seconds; }
};
/// One write per message, nothing around it; the peer reads up to `buffer` bytes at a time.
/// The peer checks the sequence number at the start of each message (but one cut by the end of a read) and the totals.
/// @param size 8 bytes .. 16 MiB   @param buffer `size` .. 64 MiB
[[nodiscard]] result<oneway_run> measure_raw(stream_kind kind, std::size_t size, std::size_t buffer,
                                             std::chrono::nanoseconds duration, placement cores);
/// The bare pipeline: varint frames built in a buffer (payload copied for each), one write per full buffer; the peer
/// reads into a buffer of the same size and parses frames where they lie, moving only a cut one to the front.
/// The peer checks the sequence number in each payload inside the loop (it shares the line of the length, and costs
/// less than the spread of the runs) and the totals at the end.
/// @param size payload, 8 bytes .. 16 MiB   @param buffer `size` + 10 .. 64 MiB
[[nodiscard]] result<oneway_run> measure_pipeline(stream_kind kind, std::size_t size, std::size_t buffer,
                                                  std::chrono::nanoseconds duration, placement cores);

/// The same with bare SSL_write and SSL_read on TCP, TLS 1.3, one SSL_write per full buffer. @return also unsupported,
/// in a build without TLS
[[nodiscard]] result<oneway_run> measure_tls_pipeline(std::size_t size, std::size_t buffer,
                                                      std::chrono::nanoseconds duration, placement cores);

struct echo_run {
  std::uint64_t messages = 0;  ///< echoes that came back within `seconds`
  double seconds = 0;
};
struct echo_plan {
  std::size_t size = 64;          ///< bytes of a message, 1 .. 4096
  std::size_t connections = 100;  ///< 1 .. 1000
  std::size_t in_flight = 1;      ///< on each connection, 1 .. 256, and at most 32 KiB
  std::chrono::nanoseconds duration = std::chrono::milliseconds(200);
  std::chrono::nanoseconds warm_up{};  ///< before, not counted
};
/// @return errc::misuse outside of those ranges
[[nodiscard]] result<void> check_echo_plan(const echo_plan& plan);
/// Bare epoll echo of unframed messages: server (one thread) on the first core, load on the second.
/// Without a placement: two_cores().
[[nodiscard]] result<echo_run> measure_echo(stream_kind kind, const echo_plan& plan, placement cores);

struct relay_run {
  std::uint64_t echoes = 0;
  double cpu_seconds = 0;  ///< user and system time of the relay process (getrusage)
  double seconds = 0;
  double p50_ns = 0;  ///< of the echoes, from question to answer
  double p99_ns = 0;
};
/// Bare two-hop relay: an epoll process that copies bytes between each client's socket and a server socket of its own.
/// With a placement the relay is on the first core; load and echo server, two more processes, on the second.
/// The V virtual connections of a client share its socket: `in_flight` = V * W.
/// @param clients 1 .. 500  @param in_flight per client, 1 .. 256
[[nodiscard]] result<relay_run> measure_relay(stream_kind kind, std::size_t clients, std::size_t in_flight,
                                              std::chrono::nanoseconds duration, placement cores);

// ---- all of it ----------------------------------------------------------------------

/// One figure of repeated runs; keeps every sample.
struct figure {
  std::vector<double> samples;
  [[nodiscard]] bool empty() const noexcept { return samples.empty(); }
  /// 0 when empty, as are the other two.
  [[nodiscard]] double median() const;
  [[nodiscard]] double min() const;
  [[nodiscard]] double max() const;
};

/// The sizes and loads of one measurement, and its figures.
struct oneway_limit {
  std::size_t size = 0;    ///< payload bytes of a message
  std::size_t buffer = 0;  ///< bytes of the buffers
  figure messages_per_second;
};
struct echo_limit {
  std::size_t connections = 0;
  std::size_t in_flight = 0;
  figure messages_per_second;
};
struct relay_limit {
  std::size_t clients = 0;
  std::size_t virtual_connections = 0;
  std::size_t window = 0;
  figure cpu_ns_per_echo;
  figure echoes_per_second;
};
struct stream_limits {
  figure blocking_p50_ns, blocking_p99_ns;
  figure spinning_p50_ns, spinning_p99_ns;
  std::vector<oneway_limit> raw_oneway;
  std::vector<oneway_limit> pipeline_oneway;
  std::vector<echo_limit> echo;
  std::vector<relay_limit> relay;
};

/// What the figures were taken on.
struct machine {
  std::string cpu;
  std::string kernel;
  int cores = 0;            ///< that this process may use
  double load_average = 0;  ///< of the last minute, before the first run: above 0.5 means that others were at work
};
/// What is known now.
[[nodiscard]] machine this_machine();

struct failed_run {
  std::string name;
  std::string text;
};

struct limits {
  machine host;
  placement asked;  ///< what the options said
  placement two;    ///< where the pinned measurements ran; nullopt on one core
  int runs = 0;
  double seconds = 0;  ///< the whole took
  figure cache_line_p50_ns, cache_line_mean_ns;
  figure memcpy_hot, memcpy_walking;
  stream_limits unix_socket, tcp;
  std::vector<failed_run> failures;  ///< a failed run is named here and the rest goes on
};

struct limits_options {
  /// Of one measurement, all its runs together.
  std::chrono::nanoseconds duration = std::chrono::seconds(1);
  /// Runs of each measurement, 1 .. 100. All measurements run once before any runs again, so that a change of the
  /// machine's mood shows in the spread.
  int runs = 5;
  /// Without it cache line, spinning ping-pong and echo are pinned to two_cores(), and everything else is not pinned.
  placement pin;
  /// Names, or prefixes of names such as "unix.pipeline"; empty: everything. See limit_names().
  std::vector<std::string> only;
  /// Called in the calling thread before each run and once at the end (done == total, empty name).
  std::function<void(std::string_view name, int done, int total)> progress;

  /// 50 ms and one run per measurement: shows that it works, says nothing about the machine.
  [[nodiscard]] static limits_options quick();
};

/// The names of all measurements, as `only` and `progress` know them: "cache_line", "memcpy",
/// "unix.pingpong_blocking", "unix.pipeline_oneway.64.262144" (size, buffer), "unix.echo.100.16", "unix.relay.10x4x16".
[[nodiscard]] std::vector<std::string> limit_names();

/// Measures; about 45 s with the default options.
/// @return the figures, with failed runs named among them | errc::misuse (no measurement has such a name; bad runs)
[[nodiscard]] result<limits> measure_limits(const limits_options& options);

/// One object; each figure as its median, with KEY_min and KEY_max beside KEY when there was more than one run.
/// What was not measured is absent. docs/performance.md explains the keys.
[[nodiscard]] boost::json::object to_json(const limits& measured);
/// The same for people: lines of text, columns that line up.
[[nodiscard]] std::string to_table(const limits& measured);

}  // namespace ferry::bench
