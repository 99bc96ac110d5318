// What it costs to be woken, and to wait.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <string_view>
#include <vector>

#include "apps/ferry/bench_ring_ends.hpp"
#include "bench/statistics.hpp"
#include "os/futex.hpp"
#include "os/unique_fd.hpp"

namespace ferry::app {
namespace {

constexpr int k_wakes = 50;  // of each kind in a round
constexpr auto k_longest = std::chrono::seconds(1);
constexpr std::int64_t k_settled = 50'000;  // nanoseconds that the consumer's core has had nothing to do

/// Besides the board: what a bare futex needs.
struct bare_futex {
  alignas(128) std::atomic<std::uint32_t> word{0};
  std::int64_t published{0};
  alignas(128) std::atomic<int> consumer{0};  // its process
  alignas(128) std::int64_t waking{0};        // nanoseconds of the last wake-up
};

/// Whether another process sleeps, as the kernel sees it.
class sleep_watch {
 public:
  explicit sleep_watch(int process)
      : stat_(::open(("/proc/" + std::to_string(process) + "/stat").c_str(), O_RDONLY | O_CLOEXEC)) {
    if (!stat_) throw failure(errc::unsupported, errno, "/proc/PID/stat cannot be read");
  }
  void wait() const {
    while (!sleeps()) {
    }
    const auto until = bench::now_ns() + k_settled;
    while (bench::now_ns() < until) ring_pause();
  }

 private:
  [[nodiscard]] bool sleeps() const {
    std::array<char, 128> text{};
    const auto got = ::pread(stat_.get(), text.data(), text.size(), 0);
    if (got <= 0) throw failure(errc::reset, errno, "the consumer is gone");
    const std::string_view all(text.data(), static_cast<std::size_t>(got));
    const auto name_ends = all.rfind(") ");
    return name_ends != std::string_view::npos && all.substr(name_ends + 2).starts_with('S');
  }
  os::unique_fd stat_;
};

void consume(const std::string& url, const ring_plan& plan, ring_board& board, bare_futex& bare) {
  poll_end end(url, plan.with, true);
  bench::partner side(board.steps, false);
  bare.consumer = ::getpid();
  side.meet();
  std::uint32_t seen = 0;
  for (int i = 0; i < plan.rounds * k_wakes; ++i) {
    ring_record record;
    while (!(record = end.link().front())) (void)end.link().wait(k_longest);
    const auto runs = bench::now_ns();
    std::int64_t published = 0;
    if (record.size == sizeof published) std::memcpy(&published, record.data, sizeof published);
    end.link().pop();
    bare.waking = runs - published;
    side.meet();

    while (bare.word.load(std::memory_order_acquire) == seen) os::futex_wait(bare.word, seen, k_longest);
    bare.waking = bench::now_ns() - bare.published;  // pairs with the store of the word
    if (bare.word.load(std::memory_order_relaxed) != ++seen) board.wrong |= 1;
    side.meet();
  }
  side.meet();
}

void produce(const std::string& url, const ring_plan& plan, ring_board& board, bare_futex& bare) {
  poll_end end(url, plan.with, false);
  bench::partner side(board.steps, true);
  side.meet();
  const sleep_watch consumer(bare.consumer);
  const auto by_ring = [&] {
    const auto published = bench::now_ns();
    if (!end.link().try_push(std::as_bytes(std::span(&published, 1)))) board.wrong |= 2;
  };
  const auto by_futex = [&] {
    bare.published = bench::now_ns();
    bare.word.fetch_add(1, std::memory_order_release);  // pairs with: consume
    os::futex_wake(bare.word);
  };
  const auto wake = [&](const auto& ring) {
    consumer.wait();
    ring();
    side.meet();
    return static_cast<double>(bare.waking);
  };
  for (std::size_t round = 0; round < static_cast<std::size_t>(plan.rounds); ++round) {
    std::vector<double> rings, futexes;
    for (int i = 0; i < k_wakes; ++i) {
      rings.push_back(wake(by_ring));
      futexes.push_back(wake(by_futex));
    }
    board.ring[round] = bench::median(rings);
    board.other[round] = bench::median(futexes);
  }
  side.meet();
}

// ---- waiting for nothing -------------------------------------------------------------

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Both ends wait; the listening one is measured, and leaves first.
void idle_poll(const std::string& url, const ring_plan& plan, ring_board& board, bool measured) {
  poll_end end(url, plan.with, measured);
  if (!measured) {
    // Only who reads learns that the other end has closed.
    while (!end.link().front() && end.link().state() == ring_state::open) (void)end.link().wait(plan.idle);
    return;
  }
  const auto before = cpu_seconds();
  const auto began = bench::now_ns();
  if (end.link().wait(plan.idle)) throw failure(errc::reset, 0, "the other side is gone");
  board.ring[0] = (cpu_seconds() - before) / (static_cast<double>(bench::now_ns() - began) / 1e9);
}

void idle_channel(const std::string& url, const ring_plan& plan, ring_board& board, bool measured) {
  channel_end end(url, plan.with, measured);
  end.link().on_message([](const message_view&) {});
  bool gone = false;
  end.link().on_down([&](const down_info&) {
    gone = true;
    end.done();
  });
  if (!measured) return end.run();
  boost::asio::steady_timer over(end.io(), plan.idle);
  over.async_wait([&](error_code) { end.done(); });
  const auto before = cpu_seconds();
  const auto began = bench::now_ns();
  end.run();
  board.ring[0] = (cpu_seconds() - before) / (static_cast<double>(bench::now_ns() - began) / 1e9);
  if (gone) throw failure(errc::reset, 0, "the other side is gone");
}

}  // namespace

result<bench::ring_comparison> measure_wake_up(const ring_plan& plan) {
  const bench::shared<bare_futex> bare;
  const auto side = [&](const auto& body) {
    return [&](bench::child& me, const std::string& url, ring_board& board) {
      me.rendezvous();
      body(url, plan, board, *bare);
    };
  };
  return compare_ring_sides(plan, side(produce), side(consume));
}

result<double> measure_idle(const ring_plan& plan, waiting_with how) {
  auto one = plan;
  one.rounds = 1;
  const auto wait = how == waiting_with::poll_api ? idle_poll : idle_channel;
  const auto side = [&](bool measured) {
    return [&, measured](bench::child& me, const std::string& url, ring_board& board) {
      me.rendezvous();
      wait(url, one, board, measured);
    };
  };
  const auto measured = compare_ring_sides(one, side(false), side(true));
  if (!measured) return measured.error();
  return measured->ring[0];
}

}  // namespace ferry::app
