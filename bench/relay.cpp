#include <sys/resource.h>
#include <sys/socket.h>

#include "bench/echo_parts.hpp"
#include "bench/limits.hpp"
#include "bench/sockets.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

namespace {

/// User and system time of this process so far.
double cpu_seconds(child& me) noexcept {
  rusage used;
  me.check(::getrusage(RUSAGE_SELF, &used), "getrusage");
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Copies between sockets 2i and 2i+1 until every stream has ended; an end is passed on as an end.
void relay(child& me, std::vector<os::unique_fd>& sockets, double& cpu) {
  std::vector<std::byte> buffer(k_echo_buffer, std::byte{0});
  poller readable(me, sockets);
  me.rendezvous();
  const auto before = cpu_seconds(me);
  for (auto pairs = sockets.size() / 2; pairs != 0;) {
    for (const auto i : readable.wait()) {
      if (!sockets[i]) continue;  // closed with its partner, above in this batch
      const auto partner = i ^ 1u;
      const auto n = read_ready(me, sockets[i].get(), buffer.data(), buffer.size());
      if (n != 0) {
        write_ready(me, sockets[partner].get(), buffer.data(), n);
        continue;
      }
      // The load closes when all echoes are home, so nothing is on the way in either direction.
      sockets[i].reset();
      sockets[partner].reset();
      --pairs;
    }
  }
  cpu = cpu_seconds(me) - before;
}

/// Client ends and server ends side by side, as relay() wants them.
std::vector<os::unique_fd> interleaved(std::vector<os::unique_fd>& clients, std::vector<os::unique_fd>& servers) {
  std::vector<os::unique_fd> all;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    all.push_back(std::move(clients[i]));
    all.push_back(std::move(servers[i]));
  }
  return all;
}

}  // namespace

result<relay_run> measure_relay(stream_kind kind, std::size_t clients, std::size_t in_flight,
                                std::chrono::nanoseconds duration, placement cores) {
  if (auto outcome = in_range("the number of clients", clients, 1, 500); !outcome) return outcome.error();
  if (auto outcome = in_range("the messages in flight", in_flight, 1, 256); !outcome) return outcome.error();
  const auto own = core_of(cores, &core_pair::first);
  const auto others = core_of(cores, &core_pair::second);
  auto outer = connected_pairs(kind, clients);  // load, relay
  if (!outer) return outer.error();
  auto inner = connected_pairs(kind, clients);  // relay, echo server
  if (!inner) return inner.error();
  auto middle = interleaved(outer->second, inner->first);

  shared<echo_tally> sums;
  shared<relay_run> figures;
  child_group children(3);
  if (auto outcome = children.start(
          role(kind, "relay's load"), others,
          [&](child& me) {
            middle.clear();
            inner->second.clear();
            std::vector<std::uint32_t> each;
            load_echo(me, outer->first, unframed_echo(k_echo_size, in_flight), {in_flight, duration, {}, &each}, *sums);
            figures->p50_ns = percentile(each, 0.5);
            figures->p99_ns = percentile(each, 0.99);
          });
      !outcome)
    return outcome.error();
  outer->first.clear();
  if (auto outcome = children.start(role(kind, "relay"), own,
                                    [&](child& me) {
                                      inner->second.clear();
                                      relay(me, middle, figures->cpu_seconds);
                                    });
      !outcome)
    return outcome.error();
  middle.clear();
  if (auto outcome =
          children.start(role(kind, "relay's echo server"), others, [&](child& me) { serve_echo(me, inner->second); });
      !outcome)
    return outcome.error();
  inner->second.clear();
  if (auto outcome = children.wait(patience(duration)); !outcome) return outcome.error();
  relay_run made = *figures;
  made.echoes = sums->total;
  made.seconds = sums->seconds;
  return made;
}

}  // namespace ferry::bench
