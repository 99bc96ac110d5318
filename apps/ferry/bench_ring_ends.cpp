#include "apps/ferry/bench_ring_ends.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "channel/fail.hpp"

namespace ferry::app {
namespace {

constexpr auto k_patience = std::chrono::seconds(10);  // to connect

// The other side may not listen yet.
template <class Connect>
auto tried_until_there(const Connect& connect) {
  const auto until = bench::now_ns() + std::chrono::nanoseconds(k_patience).count();
  for (;;) try {
      return connect();
    } catch (const failure& why) {
      const bool later = why.reason() == errc::not_found || why.reason() == errc::refused;
      if (!later || bench::now_ns() > until) throw;
      std::this_thread::yield();
    }
}

}  // namespace

ring_connection poll_end::accepted(const std::string& url, const options& with) {
  auto made = ring_listener::open(url, with).accept(k_patience);
  if (!made) throw failure(errc::timeout, 0, "nobody connected to " + url);
  return std::move(*made);
}

ring_connection poll_end::connected(const std::string& url, const options& with) {
  return tried_until_there([&] { return ring_connection::connect(url, with); });
}

channel_end::channel_end(const std::string& url, const options& with, bool accepting) {
  accepting ? accept(url, with) : connect(url, with);
  run();
}

void channel_end::accept(const std::string& url, const options& with) {
  arrivals_ = or_fail(listener::open(channels_, url, with));
  arrivals_->on_channel([this](channel one) {
    link_ = std::move(one);
    done();
  });
}

// Again and again, until the other side listens.
void channel_end::connect(const std::string& url, const options& with) {
  options again = with;
  again.reconnect = true;
  again.reconnect_base = std::chrono::milliseconds(1);
  again.reconnect_factor = 1;
  link_ = or_fail(channel::open(channels_, url, again));
  link_.on_up([this](const peer_info&) { done(); });
}

void channel_end::run() {
  for (done_ = false; !done_;)
    if (io_.run_one() == 0) throw failure(errc::closed, 0, "the channel has ended");
}

result<void> run_ring_sides(const ring_plan& plan, const bench::core_pair& cores, const ring_side& first,
                            const ring_side& second, ring_board& board) {
  static int number = 0;
  const auto url = "shm://ferry-bench-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  const auto part = [&](const char* name, int core, const ring_side& side) {
    return bench::child_part{name, core, [&](bench::child& me) { side(me, url, board); }};
  };
  if (auto outcome =
          bench::run_together({part("ring bench peer", cores.second, second), part("ring bench", cores.first, first)},
                              bench::patience(plan.idle + std::chrono::seconds(10)));
      !outcome)
    return outcome;
  if (board.wrong != 0) return error(errc::corrupt, "what arrived is not what was sent");
  return {};
}

result<bench::ring_comparison> compare_ring_sides(const ring_plan& plan, const ring_side& first,
                                                  const ring_side& second) {
  if (plan.rounds < 1 || plan.rounds > static_cast<int>(k_max_rounds))
    return error(errc::misuse, "the number of rounds must be 1 .. " + std::to_string(k_max_rounds));
  const auto cores = plan.pin ? result<bench::core_pair>(*plan.pin) : bench::two_cores();
  if (!cores) return cores.error();
  const bench::shared<ring_board> board;
  if (const auto done = run_ring_sides(plan, *cores, first, second, *board); !done) return done.error();
  const auto samples = [&](const auto& from) { return std::vector<double>(from.begin(), from.begin() + plan.rounds); };
  return bench::ring_comparison{samples(board->ring), samples(board->other)};
}

}  // namespace ferry::app
