#pragma once
/// Echoes through a gateway: its processor time for each of them, beside that of a bare relay.

#include <ferry/error.hpp>

#include <chrono>
#include <cstdint>
#include <string>

#include "apps/ferry/bench_histogram.hpp"
#include "bench/limits.hpp"

namespace ferry::app {

/// What the load does.
enum class gateway_work : std::uint8_t {
  echo,   ///< `window` messages in flight on each virtual connection
  dials,  ///< virtual connections are made and closed again, 64 of each client at a time
  idle,   ///< `clients` connections say nothing
};

/// How clients reach the gateway; the service comes over TCP.
enum class gateway_carrier : std::uint8_t {
  tcp,
  ws,
  snet,   ///< resumable streams over TCP, in their newer form
  token,  ///< resumable streams over TLS, by a token
};
[[nodiscard]] const char* to_string(gateway_carrier carrier) noexcept;

/// In the order of the enumeration.
inline constexpr gateway_carrier k_gateway_carriers[] = {gateway_carrier::tcp, gateway_carrier::ws,
                                                         gateway_carrier::snet, gateway_carrier::token};

/// A gateway of somebody else's. Empty URLs: one is started, in a process of its own.
struct foreign_gateway {
  std::string client_url, server_url;
  std::string key;
  int pid = 0;  ///< for its processor time, on this host; 0: not known
};

struct gateway_bench_plan {
  gateway_work work = gateway_work::echo;
  gateway_carrier carrier = gateway_carrier::tcp;  ///< idle: tcp alone
  std::uint32_t clients = 1;                       ///< 1 .. 20'000
  std::uint32_t virtual_connections = 1;           ///< of each client, 1 .. 1000
  std::uint32_t window = 1;                        ///< of each of them, 1 .. 1000
  std::size_t size = 64;                           ///< bytes of a message, 16 .. 256 KiB
  std::uint64_t rate = 0;  ///< echoes begun in a second, of all together; 0: as many as come back
  std::chrono::nanoseconds duration = std::chrono::seconds(1);
  std::string certificate;    ///< carrier token: a file with that of our gateway and its key
  std::string ca;             ///< certificates that TLS is trusted by; empty: those of the system
  std::uint32_t threads = 1;  ///< of the gateway, 1 .. 256
  std::chrono::nanoseconds spin = std::chrono::microseconds(50);  ///< how long the gateway looks for more at most
  bench::placement pin;  ///< first: the gateway, if it has one thread; second: service and load
  foreign_gateway external;
  bool with_relay = true;  ///< a bare relay follows under the same load; echo without a rate alone
};

struct gateway_bench_run {
  std::uint64_t echoes = 0;  ///< that came back in time, each checked; dials: virtual connections made
  double seconds = 0;
  double cpu_seconds = 0;            ///< of the gateway's process meanwhile; below 0: not known
  bench_histogram latency;           ///< nanoseconds from the moment a question was due to its echo; a dial's answer
  double relay_cpu_ns_per_echo = 0;  ///< 0: none was run
  double relay_echoes_per_second = 0;
  double relay_p50_ns = 0, relay_p99_ns = 0;
  std::uint64_t rss_bytes[2] = {};  ///< idle: of the gateway's process, with a ninth of the clients and with all
  std::uint32_t rss_clients[2] = {};

  [[nodiscard]] double per_second() const noexcept { return static_cast<double>(echoes) / seconds; }
  [[nodiscard]] double cpu_ns_per_echo() const noexcept {
    return echoes == 0 ? 0 : cpu_seconds * 1e9 / static_cast<double>(echoes);
  }
  [[nodiscard]] double ratio() const noexcept {
    return relay_cpu_ns_per_echo == 0 ? 0 : cpu_ns_per_echo() / relay_cpu_ns_per_echo;
  }
  [[nodiscard]] double bytes_per_client() const noexcept {
    const auto more = rss_clients[1] - rss_clients[0];
    return more == 0 ? 0 : (static_cast<double>(rss_bytes[1]) - static_cast<double>(rss_bytes[0])) / more;
  }
};

/// Blocks. @return a run | misuse: out of range | unsupported: one core | corrupt: an echo was not what was said | what
/// a side failed with | timeout
[[nodiscard]] result<gateway_bench_run> run_gateway_bench(const gateway_bench_plan& asked);

}  // namespace ferry::app
