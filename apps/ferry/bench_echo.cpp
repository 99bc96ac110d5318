#include "apps/ferry/bench_echo.hpp"

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include "apps/ferry/bench_allocations.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "bench/echo_parts.hpp"
#include "bench/websocket_knock.hpp"
#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"

namespace ferry::app {
namespace {

/// What a server has counted while the load was timed.
struct echo_counts {
  std::uint64_t messages;
  std::uint64_t allocations;
  std::uint64_t system_calls;
};

struct board {
  meeting_point where;
  bench::echo_tally tally;
  echo_counts counted;
};

class echo_server {
 public:
  echo_server(bench::child& me, const echo_bench_plan& plan, board& shared) : me_(me), plan_(plan), shared_(shared) {}

  void run() {
    auto opened = listener::open(mine_.channels, plan_.url, plan_.with);
    if (!opened) give_up(me_, opened.error());
    arrivals_ = std::move(*opened);
    channels_.reserve(plan_.load.connections);
    arrivals_.on_channel([this](channel one) { welcome(std::move(one)); });
    arrivals_.on_error([this](const error& why) { give_up(me_, why); });
    shared_.where.publish(me_, arrivals_.url());
    mine_.io.run();
  }

 private:
  void welcome(channel one) {
    one.on_message([this, one](const message_view& m) mutable {
      count();
      if (!one.try_send(m.payload, m.kind)) one.cut();
    });
    one.on_down([this](const down_info& why) { ended(why.reason); });
    channels_.push_back(std::move(one));
  }

  void count() {
    const auto now = shared_.tally.phase.load(std::memory_order_acquire);  // pairs with: the load's turns
    if (now != phase_) turn(now);
    messages_ += 1;
  }

  void turn(bench::echo_phase next) {
    phase_ = next;
    const echo_counts now{messages_, allocations(), system_calls()};
    if (next == bench::echo_phase::timed) at_mark_ = now;
    if (next == bench::echo_phase::over)
      shared_.counted = {now.messages - at_mark_.messages, now.allocations - at_mark_.allocations,
                         now.system_calls - at_mark_.system_calls};
  }

  [[nodiscard]] std::uint64_t system_calls() const {
    std::uint64_t sum = 0;
    for (const auto& one : channels_) {
      const auto stats = one.stats();
      sum += stats.reads + stats.writes;
    }
    return sum;
  }

  // The load closes its sockets when all echoes are home; whoever goes before that has something to say.
  void ended(const error& why) {
    if (shared_.tally.phase.load(std::memory_order_acquire) != bench::echo_phase::over) give_up(me_, why);
    if (++ended_ == plan_.load.connections) mine_.io.stop();
  }

  bench::child& me_;
  const echo_bench_plan& plan_;
  board& shared_;
  loop mine_;
  listener arrivals_;
  std::vector<channel> channels_;
  bench::echo_phase phase_ = bench::echo_phase::warming_up;
  std::uint64_t messages_ = 0;
  echo_counts at_mark_{};
  std::size_t ended_ = 0;
};

template <class F>
bench::echo_wire framed_echo(const bench::echo_plan& load) {
  const auto framed = [](std::vector<std::byte>& to, std::span<const std::byte> payload) {
    const auto at = to.size();
    to.resize(at + F::k_max_header);
    to.resize(at + F::encode_header(to.data() + at, {payload}));
    to.insert(to.end(), payload.begin(), payload.end());
  };
  return bench::make_echo_wire(load.size, load.in_flight, framed, framed);
}

bench::echo_wire wire_for(const endpoint& at, const options& with, const bench::echo_plan& load) {
  if (at.scheme != "tcp") return bench::websocket_echo(load.size, load.in_flight);
  switch (with.framing) {
    case framing_kind::u32: return framed_echo<codec::u32_framing>(load);
    case framing_kind::typed: return framed_echo<codec::typed_framing>(load);
    case framing_kind::automatic:
    case framing_kind::varint: break;
  }
  return framed_echo<codec::varint_framing>(load);
}

/// The path and query to ask for.
std::string target_of(const std::string& url) {
  const auto host = url.find("://") + 3;
  const auto path = url.find('/', host);
  return path == std::string::npos ? "/" : url.substr(path);
}

result<endpoint> where_to_go(const std::string& url, options& with) {
  const std::vector<std::string> spoken{"tcp", "ws", "ws+raw"};
  return parse_url(url, with, spoken);
}

void drive(bench::child& me, const echo_bench_plan& plan, board& shared) {
  const auto url = plan.external ? plan.url : shared.where.url();
  auto with = plan.with;
  const auto at = where_to_go(url, with);
  if (!at) give_up(me, at.error());
  const auto wire = wire_for(*at, with, plan.load);
  std::vector<os::unique_fd> sockets;
  for (std::size_t i = 0; i < plan.load.connections; ++i) {
    sockets.push_back(bench::connect_tcp(me, at->host, at->port));
    if (at->scheme == "ws")
      bench::knock(me, sockets.back().get(), at->host + ":" + std::to_string(at->port), target_of(url));
  }
  bench::load_echo(me, sockets, wire, {plan.load.in_flight, plan.load.duration, plan.load.warm_up}, shared.tally);
}

result<echo_bench_run> run_once(const echo_bench_plan& plan) {
  const bench::shared<board> shared;
  std::vector<bench::child_part> parts;
  if (!plan.external)
    parts.push_back({"echo server", bench::core_of(plan.pin, &bench::core_pair::first), [&](bench::child& me) {
                       me.arrive();
                       echo_server(me, plan, *shared).run();
                     }});
  parts.push_back({"echo load", bench::core_of(plan.pin, &bench::core_pair::second),
                   [&](bench::child& me) { drive(me, plan, *shared); }});
  const auto ended = bench::run_together(parts, bench::patience(plan.load.warm_up + plan.load.duration));
  if (!ended) return ended.error();

  echo_bench_run run;
  run.messages = shared->tally.timed;
  run.seconds = shared->tally.seconds;
  const auto counted = static_cast<double>(std::max<std::uint64_t>(shared->counted.messages, 1));
  run.allocations_per_message = static_cast<double>(shared->counted.allocations) / counted;
  run.system_calls_per_message = static_cast<double>(shared->counted.system_calls) / counted;
  if (plan.external) return run;
  const auto bare = bench::measure_echo(bench::stream_kind::tcp, plan.load, plan.pin);
  if (!bare) return bare.error();
  run.limit_messages_per_second = static_cast<double>(bare->messages) / bare->seconds;
  return run;
}

}  // namespace

result<std::vector<echo_bench_run>> run_echo_bench(const echo_bench_plan& asked, std::uint32_t repeat) {
  auto plan = asked;
  if (auto outcome = bench::check_echo_plan(plan.load); !outcome) return outcome.error();
  auto with = plan.with;
  const auto at = where_to_go(plan.url, with);
  if (!at) return at.error();
  if (at->scheme != "tcp" && at->scheme != "ws" && at->scheme != "ws+raw")
    return error(errc::unsupported, at->scheme + "://: the load speaks tcp, ws and ws+raw");
  plan.with.max_connections = std::max(plan.with.max_connections, static_cast<std::uint32_t>(plan.load.connections));
  // The load knows nothing but echoes.
  if (plan.with.ping_interval.count() != 0)
    plan.with.ping_interval = std::max(plan.with.ping_interval, 2 * (plan.load.warm_up + plan.load.duration));
  if (!plan.pin) {
    const auto two = bench::two_cores();
    if (!two) return two.error();
    plan.pin = *two;
  }
  std::vector<echo_bench_run> runs;
  for (std::uint32_t i = 0; i < repeat; ++i) {
    const auto run = run_once(plan);
    if (!run) return run.error();
    runs.push_back(*run);
  }
  return runs;
}

}  // namespace ferry::app
