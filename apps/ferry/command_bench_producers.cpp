// `ferry bench producers`: several who send, one who receives.
#include <algorithm>
#include <boost/json.hpp>
#include <memory>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/bench_producers.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/settings.hpp"
#include "bench/statistics.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_examples =
    "  ferry bench producers shm://many --producers 4\n"
    "  ferry bench producers shm://many --producers 4 --threads --pin 0,1 --json\n"
    "\nMessages of 64 bytes. Every word of each is checked, and the order of each producer's.";

struct producers_flags {
  producers_plan plan;
  channel_flags channels;
  std::optional<std::chrono::nanoseconds> duration;
  std::uint64_t producers = 2;
  std::uint64_t repeat = 1;
  bool json = false;
};

boost::json::object as_json(const producers_plan& plan, const producers_result& found, const bench::machine& host) {
  return {{"name", "producers"},         {"url", plan.url},
          {"producers", plan.producers}, {"as", plan.threads ? "threads" : "processes"},
          {"machine", to_json(host)},    {"messages", found.messages},
          {"seconds", found.seconds},    {"messages_per_second", found.messages_per_second()},
          {"lost", found.lost},          {"corrupt", found.corrupt}};
}

std::string as_table(const producers_plan& plan, const std::vector<producers_result>& runs,
                     const bench::machine& host) {
  std::vector<double> rates;
  for (const auto& run : runs) rates.push_back(run.messages_per_second());
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
  return host.cpu + ", " + std::to_string(host.cores) + " cores, Linux " + host.kernel + ", " + compiler() +
         "; load average before: " + bench::fixed(host.load_average, 2) + "\n" + plan.url + ", " +
         std::to_string(plan.producers) + (plan.threads ? " threads" : " processes") + ": " +
         bench::rate_text(bench::median(rates)) + " (" + bench::rate_text(*least) + " .. " + bench::rate_text(*most) +
         ")\n";
}

int run(producers_flags& flags) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  auto& plan = flags.plan;
  plan.with = *with;
  plan.producers = static_cast<std::uint32_t>(flags.producers);
  plan.duration = flags.duration.value_or(plan.duration);
  const auto host = bench::this_machine();
  std::vector<producers_result> runs;
  for (std::uint64_t i = 0; i < flags.repeat; ++i) {
    const auto found = measure_producers(plan);
    if (!found) return complain(found.error());
    runs.push_back(*found);
  }
  boost::json::array list;
  for (const auto& one : runs) list.push_back(as_json(plan, one, host));
  const boost::json::value all = list.size() == 1 ? list.front() : boost::json::value(list);
  const int printed = print(flags.json ? boost::json::serialize(all) + "\n" : as_table(plan, runs, host));
  const bool perfect =
      std::all_of(runs.begin(), runs.end(), [](const auto& one) { return one.lost == 0 && one.corrupt == 0; });
  return perfect ? printed : k_failed;
}

}  // namespace

void add_bench_producers(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<producers_flags>();
  const command_line command =
      bench.add_command("producers", "Several who send as much as they can, one who receives", k_examples);
  command.add_option("URL", flags->plan.url, "Where they meet: shm://NAME, ipc://@NAME, tcp://127.0.0.1:0").required();
  add_whole(command, "--producers", flags->producers, option_unit::count, 1, "So many (2)", 7);
  command.add_flag("--threads", flags->plan.threads,
                   "Threads that share one channel with senders=many, instead of processes with a channel each");
  add_seconds(command, flags->duration, "How long they send (1)");
  add_whole(command, "--repeat", flags->repeat, option_unit::count, 1, "Measure N times", 1000);
  add_pin(command, flags->plan.pin, "Keep all producers on core A, the consumer on core B");
  command.add_flag("--json", flags->json, "One object, or with --repeat an array of them");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] {
    exit_code = measure_at(flags->plan.url, flags->channels, [&](const std::string&) { return run(*flags); });
  });
}

}  // namespace ferry::app
