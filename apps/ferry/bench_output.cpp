#include "apps/ferry/bench_output.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <utility>

#include "bench/statistics.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace json = boost::json;
namespace {

std::string pin_text(const bench_plan& plan) {
  if (!plan.pin) return "none";
  return std::to_string(plan.pin->first) + "," + std::to_string(plan.pin->second);
}

void put_limit(json::object& into, const bench_result& run) {
  const auto& limit = *run.limit;
  if (run.kind == bench_kind::rtt) {
    into["limit_rtt_ns"] = json::object{{"p50", limit.rtt_p50_ns}, {"p99", limit.rtt_p99_ns}};
  } else {
    into["limit_buffer"] = limit.buffer;
    into["limit_messages_per_second"] = limit.messages_per_second;
    into["limit_bytes_per_second"] = limit.messages_per_second * static_cast<double>(run.size);
  }
  into["ratio"] = run.ratio();
}

/// One line of the table: a figure of every run.
class figure_row {
 public:
  figure_row(const std::vector<bench_result>& runs, const std::function<double(const bench_result&)>& read) {
    for (const auto& run : runs) samples_.push_back(read(run));
  }
  void add(bench::text_table& to, const std::string& name, const std::function<std::string(double)>& format) const {
    const auto [least, most] = std::minmax_element(samples_.begin(), samples_.end());
    to.add(
        {name, format(bench::median(samples_)), samples_.size() == 1 ? "" : format(*least) + " .. " + format(*most)});
  }

 private:
  std::vector<double> samples_;
};

std::string plain(double value) { return bench::fixed(value, value == 0 || value >= 100 ? 0 : 4); }

void add_rtt(bench::text_table& table, const std::vector<bench_result>& runs) {
  for (const auto& [name, q] : {std::pair("p50", 0.5), {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}})
    figure_row(runs, [q = q](const auto& run) {
      return run.rtt.quantile(q);
    }).add(table, std::string("round trip, ") + name, bench::nanoseconds_text);
  figure_row(runs, [](const auto& run) {
    return static_cast<double>(run.rtt.max());
  }).add(table, "round trip, longest", bench::nanoseconds_text);
}

void add_limit(bench::text_table& table, const std::vector<bench_result>& runs) {
  if (!runs.front().limit) return;
  if (runs.front().kind == bench_kind::rtt)
    figure_row(runs, [](const auto& run) {
      return run.limit->rtt_p50_ns;
    }).add(table, "limit: bare ping-pong of 64 B, p50", bench::nanoseconds_text);
  else
    figure_row(runs, [](const auto& run) {
      return run.limit->messages_per_second;
    }).add(table, "limit: bare pipeline, messages", bench::rate_text);
  figure_row(runs, [](const auto& run) { return run.ratio(); }).add(table, "ratio to the limit", [](double value) {
    return bench::fixed(value, 3);
  });
}

}  // namespace

std::string compiler() {
#ifdef __clang__
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

json::object to_json(const bench::machine& host) {
  return {{"cpu", host.cpu},
          {"cores", host.cores},
          {"kernel", host.kernel},
          {"compiler", compiler()},
          {"load_average", host.load_average}};
}

json::object to_json(const bench_plan& plan, const bench_result& run, const bench::machine& host) {
  json::object all{{"name", to_string(plan.kind)},
                   {"url", plan.url},
                   {"size", plan.size},
                   {"pin", pin_text(plan)},
                   {"machine", to_json(host)}};
  if (plan.kind == bench_kind::rtt)
    all["rtt_ns"] = json::object{{"p50", run.rtt.quantile(0.5)},
                                 {"p90", run.rtt.quantile(0.9)},
                                 {"p99", run.rtt.quantile(0.99)},
                                 {"p999", run.rtt.quantile(0.999)},
                                 {"max", run.rtt.max()}};
  all["messages"] = run.messages;
  all["bytes"] = run.messages * run.size;
  all["seconds"] = run.seconds;
  all["messages_per_second"] = run.messages_per_second();
  all["bytes_per_second"] = run.bytes_per_second();
  all["lost"] = run.lost;
  all["duplicated"] = run.duplicated;
  all["corrupt"] = run.corrupt;
  all["allocations_per_message"] = run.allocations_per_message;
  all["syscalls_per_message"] = run.system_calls_per_message;
  if (run.limit) put_limit(all, run);
  return all;
}

json::value to_json(const bench_plan& plan, const std::vector<bench_result>& runs, const bench::machine& host) {
  if (runs.size() == 1) return to_json(plan, runs.front(), host);
  json::array list;
  for (const auto& run : runs) list.push_back(to_json(plan, run, host));
  return list;
}

std::string to_table(const bench_plan& plan, const std::vector<bench_result>& runs, const bench::machine& host) {
  std::string text = host.cpu + ", " + std::to_string(host.cores) + " cores, Linux " + host.kernel + ", " + compiler() +
                     "; load average before: " + bench::fixed(host.load_average, 2) + "\n" + to_string(plan.kind) +
                     " " + plan.url + ", " + std::to_string(plan.size) + " B, pinned: " + pin_text(plan) +
                     ", runs: " + std::to_string(runs.size()) + "\n\n";
  const bool repeated = runs.size() != 1;
  using bench::alignment;
  bench::text_table table({"", repeated ? "median" : "", repeated ? "spread" : ""},
                          {alignment::left, alignment::right, alignment::right});
  if (plan.kind == bench_kind::rtt) add_rtt(table, runs);
  figure_row(runs, [](const auto& run) { return static_cast<double>(run.messages); }).add(table, "messages", plain);
  figure_row(runs, &bench_result::messages_per_second).add(table, "messages per second", bench::rate_text);
  figure_row(runs, &bench_result::bytes_per_second).add(table, "bytes per second", bench::bytes_rate_text);
  add_limit(table, runs);
  figure_row(runs, &bench_result::allocations_per_message).add(table, "allocations per message", plain);
  figure_row(runs, &bench_result::system_calls_per_message).add(table, "system calls per message", plain);
  figure_row(runs, [](const auto& run) { return static_cast<double>(run.lost); }).add(table, "lost", plain);
  figure_row(runs, [](const auto& run) { return static_cast<double>(run.duplicated); }).add(table, "duplicated", plain);
  figure_row(runs, [](const auto& run) { return static_cast<double>(run.corrupt); }).add(table, "corrupt", plain);
  return text + table.text();
}

}  // namespace ferry::app
