// `ferry bench connections`: what an idle connection costs.
#include <boost/json.hpp>
#include <memory>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_connections.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/settings.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_examples =
    "  ferry bench connections ipc://@many --count 9000\n"
    "  ferry bench connections tcp://127.0.0.1:0 --count 9000 --active 1 --json\n"
    "  ferry bench connections 'shm://many?ring_bytes=16KiB' --count 9000 --active 1\n"
    "\nThe server is one thread; the load is another process. Memory is the server process's, from\n"
    "/proc/self/smaps_rollup, as the slope between a ninth of the connections and all of them.";

struct connections_flags {
  connections_plan plan;
  channel_flags channels;
  std::optional<std::chrono::nanoseconds> duration;
  std::uint64_t count = 9000;
  bool json = false;
};

boost::json::object as_json(const connections_plan& plan, const connections_result& found, const bench::machine& host) {
  boost::json::object all{{"name", "connections"},
                          {"url", plan.url},
                          {"connections", plan.count},
                          {"machine", to_json(host)},
                          {"first_connections", found.first_count},
                          {"rss_per_connection", found.slope(found.rss_bytes, plan.count)},
                          {"pss_per_connection", found.slope(found.pss_bytes, plan.count)},
                          {"descriptors_per_connection", found.slope(found.descriptors, plan.count)},
                          {"rss_bytes", found.rss_bytes[1]},
                          {"pss_bytes", found.pss_bytes[1]},
                          {"seconds_to_connect", found.seconds_to_connect}};
  if (plan.active_percent == 0) return all;
  all["active_percent"] = plan.active_percent;
  all["messages"] = found.messages;
  all["seconds"] = found.active_seconds;
  all["messages_per_second"] = static_cast<double>(found.messages) / found.active_seconds;
  all["corrupt"] = found.corrupt;
  all["rtt_ns"] = boost::json::object{{"p50", found.rtt.quantile(0.5)},
                                      {"p90", found.rtt.quantile(0.9)},
                                      {"p99", found.rtt.quantile(0.99)},
                                      {"p999", found.rtt.quantile(0.999)},
                                      {"max", found.rtt.max()}};
  return all;
}

std::string as_table(const connections_plan& plan, const connections_result& found, const bench::machine& host) {
  using bench::alignment;
  bench::text_table table({"", ""}, {alignment::left, alignment::right});
  table.add({"connections", std::to_string(found.first_count) + ", then " + std::to_string(plan.count)});
  table.add({"memory per idle connection (RSS)", bench::fixed(found.slope(found.rss_bytes, plan.count), 0) + " B"});
  table.add({"memory per idle connection (PSS)", bench::fixed(found.slope(found.pss_bytes, plan.count), 0) + " B"});
  table.add({"descriptors per connection", bench::fixed(found.slope(found.descriptors, plan.count), 2)});
  table.add({"whole server process (RSS)", bench::fixed(static_cast<double>(found.rss_bytes[1]) / 1e6, 1) + " MB"});
  table.add({"connections made", bench::rate_text((plan.count - found.first_count) / found.seconds_to_connect)});
  if (plan.active_percent != 0) {
    table.add({"round trips of the active ones",
               bench::rate_text(static_cast<double>(found.messages) / found.active_seconds)});
    table.add({"round trip, p50", bench::nanoseconds_text(found.rtt.quantile(0.5))});
    table.add({"round trip, p99", bench::nanoseconds_text(found.rtt.quantile(0.99))});
    table.add({"corrupt", std::to_string(found.corrupt)});
  }
  return host.cpu + ", " + std::to_string(host.cores) + " cores, Linux " + host.kernel + ", " + compiler() + "\n" +
         plan.url + "\n\n" + table.text();
}

int run(connections_flags& flags, const std::string& directory) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  auto& plan = flags.plan;
  plan.with = *with;
  if (const auto made = bring_certificate(plan.url, plan.with, directory); !made) return complain(made.error());
  plan.count = static_cast<std::uint32_t>(flags.count);
  plan.duration = flags.duration.value_or(plan.duration);
  const auto host = bench::this_machine();
  const auto found = measure_connections(plan);
  if (!found) return complain(found.error());
  const int printed =
      print(flags.json ? boost::json::serialize(as_json(plan, *found, host)) + "\n" : as_table(plan, *found, host));
  return found->corrupt == 0 ? printed : k_failed;
}

}  // namespace

void add_bench_connections(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<connections_flags>();
  const command_line command =
      bench.add_command("connections", "Connections that say nothing, and what one of them costs", k_examples);
  command.add_option("URL", flags->plan.url, "Where they meet: shm://NAME, ipc://@NAME, tcp://127.0.0.1:0").required();
  add_whole(command, "--count", flags->count, option_unit::count, 1, "So many connections (9000)", 1'000'000);
  const auto read_percent = [flags](const std::string& text) {
    const auto value = parse_number(text);
    if (!value || *value < 0 || *value > 100)
      refuse_usage("--active " + shown(text, 64) + ": must be a number, 0 .. 100");
    flags->plan.active_percent = *value;
  };
  command
      .add_option("--active", read_percent,
                  "So many of 100, at least one, then have one message of 64 bytes in flight (0)")
      .type_name("PERCENT");
  add_seconds(command, flags->duration, "How long those talk (1)");
  add_pin(command, flags->plan.pin, "Keep the server on core A and the load on core B");
  command.add_flag("--json", flags->json, "One object");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] {
    exit_code = measure_at(flags->plan.url, flags->channels,
                           [&](const std::string& directory) { return run(*flags, directory); });
  });
}

}  // namespace ferry::app
