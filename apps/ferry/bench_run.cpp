#include "apps/ferry/bench_run.hpp"

#include <algorithm>
#include <string>

#include "apps/ferry/bench_pair.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_pipeline_buffers[] = {256u << 10, 1u << 20};

bench_result add_up(const bench_plan& plan, const bench_board& board) {
  bench_result all;
  all.kind = plan.kind;
  all.size = plan.size;
  all.seconds = static_cast<double>(std::max<std::int64_t>(board.elapsed_ns, 1)) / 1e9;
  const bool at_client = plan.kind == bench_kind::rtt || plan.kind == bench_kind::read_only;
  all.messages = at_client ? board.client.messages : board.server.messages;
  all.lost = board.client.lost + board.server.lost;
  all.duplicated = board.client.duplicated + board.server.duplicated;
  all.corrupt = board.client.corrupt + board.server.corrupt;
  if (plan.kind == bench_kind::write_only && board.wire_bytes[0] > board.wire_bytes[1])
    all.lost += (board.wire_bytes[0] - board.wire_bytes[1] + plan.size - 1) / plan.size;
  const double moved =
      static_cast<double>(std::max<std::uint64_t>(all.messages, 1)) * (plan.kind == bench_kind::rtt ? 2 : 1);
  all.allocations_per_message = static_cast<double>(board.client.allocations + board.server.allocations) / moved;
  all.system_calls_per_message = static_cast<double>(board.client.system_calls + board.server.system_calls) / moved;
  all.rtt = board.rtt;
  return all;
}

std::vector<bench::child_part> parts_of(const bench_plan& plan, bench_pair& pair, bench_board& board) {
  const auto own = bench::core_of(plan.pin, &bench::core_pair::first);
  const std::string name = to_string(plan.kind);
  if (pair.one_process()) return {{name, own, [&](bench::child& me) { pair.serve_and_drive(me, plan, board); }}};
  std::vector<bench::child_part> parts;
  if (!plan.external)
    parts.push_back({name + " server", bench::core_of(plan.pin, &bench::core_pair::second),
                     [&](bench::child& me) { pair.serve(me, plan, board); }});
  parts.push_back({name + " client", own, [&](bench::child& me) { pair.drive(me, plan, board); }});
  return parts;
}

bool is_tls(const bench_plan& plan) { return plan.url.starts_with("tls:"); }

result<bench::stream_kind> limit_kind(const bench_plan& plan) {
  if (plan.url.starts_with("ipc:")) return bench::stream_kind::unix_socket;
  if (plan.url.starts_with("tcp:") || (is_tls(plan) && plan.kind != bench_kind::rtt)) return bench::stream_kind::tcp;
  return error(errc::unsupported,
               "--limit: there is no bare limit for " + plan.url + ", only for ipc and tcp, and one way for tls");
}

result<bench_limit> run_pingpong(const bench_plan& plan, bench::stream_kind kind) {
  const auto mode = spins(plan) ? bench::wait_mode::spinning : bench::wait_mode::blocking;
  constexpr std::uint64_t k_most = std::uint64_t{1} << 24;
  const auto run =
      bench::measure_pingpong(kind, mode, plan.pin, plan.duration, std::min(plan.count.value_or(k_most), k_most));
  if (!run) return run.error();
  return bench_limit{0, 0, run->p50_ns, run->p99_ns};
}

/// With --count the run's own time is unknown beforehand: this long then.
constexpr std::chrono::nanoseconds k_counted_limit = std::chrono::seconds(1);

result<bench_limit> run_pipeline(const bench_plan& plan, bench::stream_kind kind) {
  constexpr std::size_t k_max_prefix = 10;
  const auto duration = plan.count ? k_counted_limit : plan.duration / 2;  // two buffers
  bench_limit best;
  for (const auto least : k_pipeline_buffers) {
    const auto buffer = std::max(least, plan.size + k_max_prefix);
    const auto run = is_tls(plan) ? bench::measure_tls_pipeline(plan.size, buffer, duration, plan.pin)
                                  : bench::measure_pipeline(kind, plan.size, buffer, duration, plan.pin);
    if (!run) return run.error();
    if (run->messages_per_second() < best.messages_per_second) continue;
    best.messages_per_second = run->messages_per_second();
    best.buffer = buffer;
  }
  return best;
}

result<bench_limit> run_limit(const bench_plan& plan) {
  const auto kind = limit_kind(plan);
  if (!kind) return kind.error();
  return plan.kind == bench_kind::rtt ? run_pingpong(plan, *kind) : run_pipeline(plan, *kind);
}

}  // namespace

bool spins(const bench_plan& plan) {
  options all = plan.with;
  return look_up(plan.url, all) && all.spin.count() != 0;
}

double bench_result::ratio() const noexcept {
  if (!limit) return 0;
  if (kind == bench_kind::rtt) return rtt.quantile(0.5) / limit->rtt_p50_ns;
  return messages_per_second() / limit->messages_per_second;
}

result<bench_result> run_bench(const bench_plan& asked) {
  auto plan = asked;
  const auto pair = make_bench_pair(plan);
  if (!pair) return pair.error();
  const bench::shared<bench_board> board;
  const auto ended = bench::run_together(parts_of(plan, **pair, *board), bench::patience(plan.duration));
  if (!ended) return ended.error();
  return add_up(plan, *board);
}

result<std::vector<bench_result>> run_benches(const bench_plan& plan, const bench_series& how) {
  if (how.with_limit)
    if (const auto kind = limit_kind(plan); !kind) return kind.error();
  std::vector<bench_result> runs;
  for (std::uint32_t i = 0; i < how.repeat; ++i) {
    auto run = run_bench(plan);
    if (!run) return run.error();
    if (how.with_limit) {
      const auto limit = run_limit(plan);
      if (!limit) return limit.error();
      run->limit = *limit;
    }
    runs.push_back(*run);
  }
  return runs;
}

}  // namespace ferry::app
