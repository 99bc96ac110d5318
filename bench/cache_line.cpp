#include <atomic>
#include <cstdint>
#include <vector>

#include "bench/child.hpp"
#include "bench/limits.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

namespace {

constexpr std::uint64_t k_train = 1000;
constexpr std::uint64_t k_over = ~std::uint64_t{0};
constexpr std::size_t k_line = 128;  // two lines: the neighbour is fetched along

struct court {
  alignas(k_line) std::atomic<std::uint64_t> ball;  // even: the asker's turn; odd: the answerer's
  alignas(k_line) cache_line_run figures;
};

void answer(child& me, std::atomic<std::uint64_t>& ball) {
  me.rendezvous();
  for (std::uint64_t next = 1;; next += 2) {
    std::uint64_t seen;
    while ((seen = ball.load(std::memory_order_acquire)) != next)  // pairs with: play, measure
      if (seen == k_over) return;
    ball.store(next + 1, std::memory_order_release);  // pairs with: play
  }
}

/// One train, begun and ended on the asker's turn.
std::uint64_t play(std::atomic<std::uint64_t>& ball, std::uint64_t turn) {
  for (std::uint64_t i = 0; i < k_train; ++i) {
    ball.store(turn + 1, std::memory_order_release);  // pairs with: answer
    turn += 2;
    while (ball.load(std::memory_order_acquire) != turn) {  // pairs with: answer
    }
  }
  return turn;
}

void ask(child& me, court& shared, std::int64_t duration_ns) {
  std::vector<double> trains;
  trains.reserve(1 << 16);
  me.rendezvous();
  std::uint64_t turn = play(shared.ball, 0);  // the first one warms up
  const auto begun = now_ns();
  auto before = begun;
  while (trains.empty() || before - begun < duration_ns) {
    turn = play(shared.ball, turn);
    const auto after = now_ns();
    trains.push_back(static_cast<double>(after - before) / static_cast<double>(k_train));
    before = after;
  }
  shared.figures.mean_ns = static_cast<double>(before - begun) / static_cast<double>(trains.size() * k_train);
  shared.figures.p50_ns = percentile(trains, 0.5);
  shared.ball.store(k_over, std::memory_order_release);  // pairs with: answer
}

}  // namespace

result<cache_line_run> measure_cache_line(std::chrono::nanoseconds duration, placement cores) {
  const auto pinned = cores ? result<core_pair>(*cores) : two_cores();
  if (!pinned) return pinned.error();

  shared<court> between;
  const auto outcome =
      run_together({{"cache line answerer", pinned->second, [&](child& me) { answer(me, between->ball); }},
                    {"cache line asker", pinned->first, [&](child& me) { ask(me, *between, duration.count()); }}},
                   patience(duration));
  if (!outcome) return outcome.error();
  return between->figures;
}

}  // namespace ferry::bench
