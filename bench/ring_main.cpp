// ring_bench [ROUNDS [RING_BYTES]]: the native ring against the limits that it is held to; see bench/README.md.

#include <cstdio>
#include <cstdlib>

#include "bench/ring_limits.hpp"
#include "bench/statistics.hpp"

namespace {

using namespace ferry;
using namespace ferry::bench;

struct row {
  const char* name;
  const char* unit_name;
  double unit;  // what a figure is divided by for people
  const char* target;
};

/// @return whether it could be measured
bool show(const row& r, const result<ring_comparison>& measured) {
  if (!measured) {
    std::printf("%-24s %s\n", r.name, measured.error().text().c_str());
    return false;
  }
  std::printf("%-24s %7.1f against %7.1f %-8s ratio %.3f of %zu; wanted: %s\n", r.name, median(measured->ring) / r.unit,
              median(measured->other) / r.unit, r.unit_name, measured->median_ratio(), measured->ring.size(), r.target);
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  ring_measurement what;
  if (argc > 1) what.rounds = std::atoi(argv[1]);
  if (argc > 2) what.ring_bytes = static_cast<std::size_t>(std::atoll(argv[2]));
  const auto host = this_machine();
  std::printf("%s, %d cores, load %.2f; ring of %zu bytes\n", host.cpu.c_str(), host.cores, host.load_average,
              what.ring_bytes);
  bool good = show({"round trip, 64 B", "ns", 1, "at most 1.2 x the cache line"}, measure_ring_round_trip(what, {}));
  good &= show({"one way, 64 B", "M/s", 1e6, "at least 1.4 x a plain ring"}, measure_ring_rate(what, {}));
  what.size = 8 << 10;
  good &= show({"one way, 8 KiB, copied", "GB/s", 1e9, "at least 0.85 x bare copies"}, measure_ring_copies(what, {}));
  what.size = 64 << 10;
  good &= show({"one way, 64 KiB, copied", "GB/s", 1e9, "at least 0.85 x bare copies"}, measure_ring_copies(what, {}));
  return good ? 0 : 1;
}
