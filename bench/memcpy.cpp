#include <cstring>

#include "bench/child.hpp"
#include "bench/limits.hpp"
#include "bench/sockets.hpp"

namespace ferry::bench {

namespace {

constexpr std::size_t k_hot = 16 << 10;
constexpr std::size_t k_step = 64 << 10;

/// Keeps the compiler from seeing that nobody reads what was copied.
void use(const std::byte* where) noexcept { asm volatile("" : : "r"(where) : "memory"); }

/// Calls `copy_some`, which returns the bytes that it copied, until the time is over.
template <class Copy>
double bytes_per_second(std::int64_t duration_ns, const Copy& copy_some) {
  std::size_t copied = 0;
  const auto begun = now_ns();
  auto now = begun;
  do {
    copied += copy_some();
    now = now_ns();
  } while (now - begun < duration_ns);
  return static_cast<double>(copied) * 1e9 / static_cast<double>(now - begun);
}

double hot(std::int64_t duration_ns) {
  alignas(64) static std::byte from[k_hot];
  alignas(64) static std::byte to[k_hot];
  constexpr int k_rounds = 256;  // between two looks at the clock
  std::memset(from, 1, sizeof from);
  return bytes_per_second(duration_ns, [] {
    for (int i = 0; i < k_rounds; ++i) {
      std::memcpy(to, from, k_hot);
      use(to);
    }
    return k_rounds * k_hot;
  });
}

double walking(std::int64_t duration_ns, std::size_t region) {
  std::vector<std::byte> from(region, std::byte{1});
  std::vector<std::byte> to(region, std::byte{2});
  std::size_t at = 0;
  return bytes_per_second(duration_ns, [&] {
    std::memcpy(to.data() + at, from.data() + at, k_step);
    use(to.data());
    at = at + k_step == region ? 0 : at + k_step;
    return k_step;
  });
}

}  // namespace

result<memcpy_run> measure_memcpy(std::chrono::nanoseconds duration, placement cores, std::size_t walk) {
  if (auto outcome = in_range("the region to walk through", walk, k_step, std::size_t{1} << 34); !outcome)
    return outcome.error();
  if (walk % k_step != 0) return error(errc::misuse, "the region to walk through is no multiple of 64 KiB");

  shared<memcpy_run> figures;
  const auto measure = [&](child&) {
    figures->hot_bytes_per_second = hot(duration.count() / 4);
    figures->walking_bytes_per_second = walking(duration.count() / 4 * 3, walk);
  };
  const auto outcome = run_together({{"memcpy", core_of(cores, &core_pair::first), measure}}, patience(duration));
  if (!outcome) return outcome.error();
  return *figures;
}

}  // namespace ferry::bench
