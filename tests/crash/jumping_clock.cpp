// The time of day in a program that this is linked into: it jumps by years, to and fro, with each look. No other clock
// does.
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>  // NOLINT(modernize-deprecated-headers): declares what is replaced
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr long k_year = 31'556'952;
std::atomic<unsigned> looks{0};

long jump() {
  constexpr long k_years[] = {0, 9, -30, 1, -1, 20, -12};
  return k_years[looks.fetch_add(1, std::memory_order_relaxed) % 7] * k_year;
}

// That the library's looks at the time of day come here too.
[[maybe_unused]] const bool k_jumps = [] {
  using std::chrono::system_clock;
  const auto first = system_clock::now();
  const auto second = system_clock::now();
  const auto apart = first < second ? second - first : first - second;
  if (apart > std::chrono::hours(24)) return true;
  std::fprintf(stderr, "the clock does not jump\n");
  std::_Exit(4);
}();

}  // namespace

extern "C" int clock_gettime(clockid_t which, timespec* at) noexcept {
  const auto failed = static_cast<int>(::syscall(SYS_clock_gettime, which, at));
  if (failed == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += jump();
  return failed;
}
extern "C" int gettimeofday(timeval* at, void*) noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  *at = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}
extern "C" time_t time(time_t* at) noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr) *at = now.tv_sec;
  return now.tv_sec;
}
