#include "apps/ferry/bench_producers.hpp"

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <array>
#include <atomic>
#include <span>
#include <thread>
#include <vector>

#include "apps/ferry/bench_sides.hpp"
#include "base/endian.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_size = 64;
constexpr std::uint64_t k_between_looks = 256;  // at the clock, in messages
// A message says eight times the same: who sent it, whether it is the last, and its number.
constexpr unsigned k_producer_shift = 56;
constexpr std::uint64_t k_last = std::uint64_t{1} << 55;

struct board {
  meeting_point where;
  producers_result figures;
};

std::array<std::uint64_t, k_size / 8> message(std::uint64_t producer, std::uint64_t number) noexcept {
  std::array<std::uint64_t, k_size / 8> made;
  made.fill(producer << k_producer_shift | number);
  return made;
}

class consumer {
 public:
  consumer(bench::child& me, const producers_plan& plan, board& shared)
      : me_(me), plan_(plan), shared_(shared), next_(plan.producers) {}

  void run() {
    auto opened = listener::open(mine_.channels, plan_.url, plan_.with);
    if (!opened) give_up(me_, opened.error());
    opened->on_channel([this](channel one) {
      one.on_message([this](const message_view& m) { take(m.payload); });
      arrived_.push_back(std::move(one));
    });
    shared_.where.publish(me_, opened->url());
    while (arrived_.size() < (plan_.threads ? 1 : plan_.producers)) mine_.io.run_one();
    me_.rendezvous();
    mine_.io.run();
    shared_.figures.seconds = static_cast<double>(bench::now_ns() - begun_) / 1e9;
  }

 private:
  void take(bytes payload) {
    auto& figures = shared_.figures;
    if (begun_ == 0) begun_ = bench::now_ns();
    const auto word = payload.size() == k_size ? load_le<std::uint64_t>(payload.data()) : ~std::uint64_t{0};
    std::uint64_t difference = 0;
    for (std::size_t i = 8; i < payload.size(); i += 8) difference |= load_le<std::uint64_t>(payload.data() + i) ^ word;
    const auto producer = word >> k_producer_shift;
    if (difference != 0 || producer >= next_.size()) {
      figures.corrupt += 1;
      return;
    }
    figures.messages += 1;
    const auto number = word & (k_last - 1);
    if (number != next_[producer]) figures.lost += 1;
    next_[producer] = number + 1;
    if ((word & k_last) != 0 && ++ended_ == plan_.producers) mine_.io.stop();
  }

  bench::child& me_;
  const producers_plan& plan_;
  board& shared_;
  loop mine_;
  std::vector<channel> arrived_;
  std::vector<std::uint64_t> next_;
  std::uint32_t ended_ = 0;
  std::int64_t begun_ = 0;
};

/// A channel that is up.
channel connected(bench::child& me, loop& mine, const producers_plan& plan, const board& shared) {
  auto opened = channel::open(mine.channels, shared.where.url(), plan.with);
  if (!opened) give_up(me, opened.error());
  bool up = false;
  opened->async_wait_up([&](error_code failed) {
    if (failed) give_up(me, opened->last_error());
    up = true;
  });
  while (!up) mine.io.run_one();
  return std::move(*opened);
}

/// Numbers messages until the time is over, and says which is the last.
class numbers {
 public:
  numbers(const producers_plan& plan, std::uint64_t producer)
      : producer_(producer), deadline_(bench::now_ns() + plan.duration.count()) {}
  [[nodiscard]] bool over() const noexcept { return over_; }
  /// @param send is given the bytes; whether they found room
  template <class Send>
  [[nodiscard]] bool send(const Send& send) {
    const bool last = next_ % k_between_looks == 0 && bench::now_ns() >= deadline_;
    const auto words = message(producer_, next_ | (last ? k_last : 0));
    if (!send(std::as_bytes(std::span(words)))) return false;
    next_ += 1;
    over_ = last;
    return true;
  }

 private:
  const std::uint64_t producer_;
  const std::int64_t deadline_;
  std::uint64_t next_ = 0;
  bool over_ = false;
};

/// @return false: there is no room
bool sent(bench::child& me, channel& through, bytes payload) {
  const auto outcome = through.try_send(payload);
  if (!outcome && outcome.error() != errc::full) give_up(me, outcome.error());
  return outcome.has_value();
}

/// Until the consumer, which has everything then, is gone.
void produce_alone(bench::child& me, const producers_plan& plan, const board& shared, std::uint64_t producer) {
  loop mine;
  auto link = connected(me, mine, plan, shared);
  me.rendezvous();
  numbers mark(plan, producer);
  bool room = true;
  const auto send_on = [&] {
    for (std::uint64_t i = 0; room && !mark.over() && i < k_between_looks * 16; ++i)
      room = mark.send([&](bytes payload) { return sent(me, link, payload); });
  };
  link.on_drain([&] { room = true; });
  link.on_down([&](const down_info&) { mine.io.stop(); });
  while (!mark.over()) {
    send_on();
    room ? mine.io.poll() : mine.io.run_one();
  }
  mine.io.run();
}

void produce_together(bench::child& me, const producers_plan& plan, const board& shared) {
  loop mine;
  auto with = plan;
  with.with.senders = senders_kind::many;
  auto link = connected(me, mine, with, shared);
  std::atomic<std::uint32_t> drains{0};
  link.on_drain([&] {
    drains.fetch_add(1, std::memory_order_release);  // pairs with: the load before a message that found no room
    drains.notify_all();
  });
  link.on_down([&](const down_info&) { mine.io.stop(); });
  me.rendezvous();
  std::vector<std::jthread> threads;
  for (std::uint64_t i = 0; i < plan.producers; ++i)
    threads.emplace_back([&, i] {
      numbers mark(plan, i);
      while (!mark.over()) {
        const auto seen = drains.load(std::memory_order_acquire);
        if (!mark.send([&](bytes payload) { return sent(me, link, payload); })) drains.wait(seen);
      }
    });
  mine.io.run();
}

}  // namespace

result<producers_result> measure_producers(const producers_plan& asked) {
  auto plan = asked;
  if (plan.producers < 1 || plan.producers > bench::detail::k_max_children - 1)
    return error(errc::misuse, "there can be 1 .. " + std::to_string(bench::detail::k_max_children - 1) + " producers");
  if (const auto at = look_up_between_processes(plan.url, plan.with); !at) return at.error();
  const bench::shared<board> shared;
  const auto own = bench::core_of(plan.pin, &bench::core_pair::first);
  std::vector<bench::child_part> parts{{"consumer", bench::core_of(plan.pin, &bench::core_pair::second),
                                        [&](bench::child& me) { consumer(me, plan, *shared).run(); }}};
  if (plan.threads) parts.push_back({"producers", own, [&](bench::child& me) { produce_together(me, plan, *shared); }});
  for (std::uint32_t i = 0; !plan.threads && i < plan.producers; ++i)
    parts.push_back({"producer", own, [&, i](bench::child& me) { produce_alone(me, plan, *shared, i); }});
  if (const auto ended = bench::run_together(parts, bench::patience(plan.duration)); !ended) return ended.error();
  return shared->figures;
}

}  // namespace ferry::app
