// `ferry bench echo`: a server that sends everything back, against bare epoll.
#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <memory>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_echo.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/bench_time_bar.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/settings.hpp"
#include "bench/statistics.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_examples =
    "  ferry bench echo ws://127.0.0.1:0/ --connections 100 --in-flight 16\n"
    "  ferry bench echo tcp://127.0.0.1:0 --size 1KiB --repeat 5 --json\n"
    "  ferry bench echo ws://server:9001/echo --external       somebody else's server\n"
    "\nThe server is one thread on one core, the load another process on another. Each run is followed by one of a "
    "bare\n"
    "epoll server, which sends unframed bytes back, under the same load. Every byte of every echo is checked.";

struct echo_flags {
  echo_bench_plan plan;
  channel_flags channels;
  std::optional<std::chrono::nanoseconds> duration;
  std::uint64_t size = 64;
  std::uint64_t connections = 100;
  std::uint64_t in_flight = 1;
  std::uint64_t repeat = 1;
  bool json = false;
};

boost::json::object as_json(const echo_bench_plan& plan, const echo_bench_run& run, const bench::machine& host) {
  boost::json::object all{{"name", "echo"},
                          {"url", plan.url},
                          {"size", plan.load.size},
                          {"connections", plan.load.connections},
                          {"in_flight", plan.load.in_flight},
                          {"machine", to_json(host)},
                          {"messages", run.messages},
                          {"seconds", run.seconds},
                          {"messages_per_second", run.messages_per_second()}};
  if (plan.external) return all;
  all["limit_messages_per_second"] = run.limit_messages_per_second;
  all["ratio"] = run.ratio();
  all["allocations_per_message"] = run.allocations_per_message;
  all["syscalls_per_message"] = run.system_calls_per_message;
  return all;
}

std::string as_table(const echo_bench_plan& plan, const std::vector<echo_bench_run>& runs, const bench::machine& host) {
  using bench::alignment;
  bench::text_table table({"", "", ""}, {alignment::left, alignment::right, alignment::left});
  const auto add = [&](const char* name, const std::function<double(const echo_bench_run&)>& read,
                       const std::function<std::string(double)>& text) {
    std::vector<double> all;
    for (const auto& run : runs) all.push_back(read(run));
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    table.add({name, text(bench::median(all)), all.size() == 1 ? "" : text(*least) + " .. " + text(*most)});
  };
  const auto plain = [](double value) { return bench::fixed(value, 4); };
  add(
      "echoes", [](const auto& run) { return run.messages_per_second(); }, bench::rate_text);
  if (!plan.external) {
    add(
        "limit: bare epoll, unframed", [](const auto& run) { return run.limit_messages_per_second; }, bench::rate_text);
    add(
        "ratio to the limit", [](const auto& run) { return run.ratio(); }, plain);
    add(
        "allocations per echo", [](const auto& run) { return run.allocations_per_message; }, plain);
    add(
        "system calls per echo", [](const auto& run) { return run.system_calls_per_message; }, plain);
  }
  return host.cpu + ", " + std::to_string(host.cores) + " cores, Linux " + host.kernel + ", " + compiler() +
         "; load average before: " + bench::fixed(host.load_average, 2) + "\n" + plan.url + ", " +
         std::to_string(plan.load.connections) + " connections, " + std::to_string(plan.load.in_flight) +
         " in flight on each, " + std::to_string(plan.load.size) + " bytes\n\n" + table.text();
}

int run(echo_flags& flags) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  auto& plan = flags.plan;
  plan.with = *with;
  plan.load.size = flags.size;
  plan.load.connections = flags.connections;
  plan.load.in_flight = flags.in_flight;
  plan.load.duration = flags.duration.value_or(std::chrono::milliseconds(300));
  plan.load.warm_up = plan.load.duration / 4;
  const auto host = bench::this_machine();
  const auto runs = [&] {
    const auto one_run = (plan.load.warm_up + plan.load.duration) * 2;
    const time_bar bar(std::chrono::ceil<std::chrono::seconds>(one_run * flags.repeat));
    return run_echo_bench(plan, static_cast<std::uint32_t>(flags.repeat));
  }();
  if (!runs) return complain(runs.error());
  boost::json::array list;
  for (const auto& one : *runs) list.push_back(as_json(plan, one, host));
  const boost::json::value all = list.size() == 1 ? list.front() : boost::json::value(list);
  return print(flags.json ? boost::json::serialize(all) + "\n" : as_table(plan, *runs, host));
}

}  // namespace

void add_bench_echo(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<echo_flags>();
  const command_line command =
      bench.add_command("echo", "A server that sends everything back, against bare epoll", k_examples);
  command.add_option("URL", flags->plan.url, "Where it listens: tcp://127.0.0.1:0, ws://127.0.0.1:0/, ws+raw://...")
      .required();
  add_whole(command, "--size", flags->size, option_unit::size, 1, "Bytes of a message (64)", 4096);
  add_whole(command, "--connections", flags->connections, option_unit::count, 1, "So many (100)", 1000);
  add_whole(command, "--in-flight", flags->in_flight, option_unit::count, 1, "Messages on the way on each (1)", 256);
  add_whole(command, "--repeat", flags->repeat, option_unit::count, 1, "Measure N times, both in turns", 1000);
  add_seconds(command, flags->duration, "How long one run takes (0.3); the warm-up, a quarter of it, is not counted");
  add_pin(command, flags->plan.pin, "The server on core A, the load on core B (the first two)");
  command.add_flag("--external", flags->plan.external, "Start no server: one listens at URL");
  command.add_flag("--json", flags->json, "One object, or with --repeat an array of them");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] {
    const std::string own = flags->plan.external ? "" : flags->plan.url;
    exit_code = measure_at(own, flags->channels, [&](const std::string&) { return run(*flags); });
  });
}

}  // namespace ferry::app
