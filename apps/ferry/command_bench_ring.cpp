// `ferry bench ring`, `ferry bench session` and `ferry bench sidecar`: shared memory, sessions and services against
// their limits; the measuring is bench_ring's, bench_sidecar's and bench/ring_limits'.
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/bench_ring.hpp"
#include "apps/ferry/bench_sidecar.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/progress.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/workplace.hpp"
#include "bench/statistics.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_examples =
    "  ferry bench ring\n"
    "  ferry bench ring --only round_trip --only wake_up --pin 0,1\n"
    "  ferry bench ring --json > ring.json\n"
    "  ferry bench ring --quick                   shows that it works, says nothing about the machine\n"
    "\nTwo processes on two cores; both sides of a comparison are measured in turns, and a ratio is the median over\n"
    "rounds of those of neighbours. Everything that arrives is checked.";

constexpr const char* k_session_examples =
    "  ferry bench session\n"
    "  ferry bench session --only commit -o dir=/var/lib/app     on the disk where this directory lies\n"
    "  ferry bench session --json > session.json\n"
    "\nOver shared memory: two processes on two cores; both sides of a comparison are measured in turns, and a ratio "
    "is\n"
    "the median over rounds of those of neighbours. Everything that arrives is checked. Over streams:\n"
    "'ferry bench rtt' and 'oneway' with 'URL?session=persistent'.";

constexpr const char* k_sidecar_examples =
    "  ferry bench sidecar\n"
    "  ferry bench sidecar --only round_trip --only one_way --pin 0,1\n"
    "  ferry bench sidecar --json > sidecar.json\n"
    "\nOne thread sends and polls all services, the sidecar is another one, each on a core; rings are native. "
    "Everything\n"
    "that arrives is counted, and its numbers are checked. A service between processes that sleep:\n"
    "'ferry bench rtt sidecar://DIR?to=ENTITY --external'.";

struct ring_flags {
  ring_plan plan;
  channel_flags channels;
  std::vector<std::string> only;
  std::optional<std::chrono::nanoseconds> idle;
  std::uint64_t rounds = 15;
  bool quick = false;
  bool json = false;
};

/// What one measurement is, and what is wanted of it.
struct ring_row {
  const char* name;
  const char* what;
  const char* against;  // empty: nothing; the figure itself is held to the target
  std::string (*text)(double);
  bool at_most;
  std::optional<double> target;
  std::function<result<bench::ring_comparison>(const ring_plan&)> measure;
};

std::string percent(double share) { return bench::fixed(share * 100, 3) + " %"; }

using ring_measure = result<bench::ring_comparison> (*)(const bench::ring_measurement&, bench::placement);
auto bare(ring_measure measure, std::size_t size = 64) {
  return [=](const ring_plan& plan) {
    bench::ring_measurement what;
    what.size = size;
    what.rounds = plan.rounds;
    what.ring_bytes = plan.with.ring_bytes;
    return measure(what, plan.pin);
  };
}

auto idle(waiting_with how) {
  return [=](const ring_plan& plan) -> result<bench::ring_comparison> {
    const auto share = measure_idle(plan, how);
    if (!share) return share.error();
    return bench::ring_comparison{{*share}, {}};
  };
}

std::vector<ring_row> ring_rows() {
  using namespace bench;
  const auto time = nanoseconds_text;
  return {
      {"round_trip", "ring, round trip of 64 B", "cache line", time, true, 1.2, bare(measure_ring_round_trip)},
      {"round_trip_pausing",
       "the same",
       "cache line, pausing",
       time,
       true,
       {},
       bare(measure_ring_round_trip_to_pausing_line)},
      {"one_way", "ring, one way, 64 B", "ring with a write index", rate_text, false, 1.4, bare(measure_ring_rate)},
      {"copies_8KiB", "ring, one way, 8 KiB, copied in and out", "the same copies", bytes_rate_text, false, 0.85,
       bare(measure_ring_copies, 8 << 10)},
      {"copies_64KiB", "ring, one way, 64 KiB, copied in and out", "the same copies", bytes_rate_text, false, 0.85,
       bare(measure_ring_copies, 64 << 10)},
      {"channel_round_trip", "channel, round trip of 64 B, spinning", "poll API", time, true, 1.5,
       measure_channel_round_trip},
      // A rate: 1.5 times as long for each message.
      {"channel_one_way", "channel, one way, 64 B, spinning", "poll API", rate_text, false, 1 / 1.5,
       measure_channel_rate},
      {"wake_up", "from publish to the sleeping consumer", "bare futex", time, true, 1.2, measure_wake_up},
      {"idle_poll", "processor time of who waits, poll API", "", percent, true, 0.001, idle(waiting_with::poll_api)},
      {"idle_channel", "processor time of who waits, channel", "", percent, true, 0.001, idle(waiting_with::channel)},
  };
}

std::vector<ring_row> session_rows() {
  using namespace bench;
  const auto time = nanoseconds_text;
  return {
      {"round_trip", "session over shm, round trip of 64 B, a transaction for each message",
       "channel without a session", time, true, 1.15, measure_session_round_trip},
      {"round_trip_to_poll", "the same", "poll API", time, true, {}, measure_session_round_trip_to_poll},
      {"poll_round_trip", "session over shm, poll API, round trip of 64 B", "poll API", time, true, 1.15,
       measure_session_poll_round_trip},
      {"one_way",
       "session over shm, one way, 64 B, a transaction for each message",
       "poll API",
       rate_text,
       false,
       {},
       measure_session_rate},
      {"commit", "a transaction on the disk (durable=disk)", "fdatasync alone", time, true, {}, measure_durable_commit},
      {"commits",
       "transactions on the disk, 256 waiting",
       "fdatasync alone",
       rate_text,
       false,
       {},
       measure_durable_commits},
  };
}

std::vector<ring_row> sidecar_rows() {
  using namespace bench;
  const auto time = nanoseconds_text;
  return {
      {"round_trip", "service to service, round trip of 64 B", "bare ring", time, true, 2.5,
       measure_sidecar_round_trip},
      {"one_way", "service to service, one way, 64 B", "bare ring", rate_text, false, 0.2, measure_sidecar_rate},
      {"broadcast", "16 KiB to 8 services, for each of them", "one message to each", time, true, 0.25,
       measure_sidecar_broadcast},
      {"broadcast_sending", "the same, for who sends", "one message to each", time, true, 0.25,
       measure_sidecar_broadcast_sending},
      {"route_change", "longest pause while the route changes, p99", "", time, true, 1e6, measure_sidecar_route_change},
      {"idle", "one way, 64 B, beside 256 services that do nothing", "alone", rate_text, false, 0.9,
       measure_sidecar_idle},
  };
}

/// A command that makes comparisons.
struct ring_command {
  const char* name;
  const char* summary;
  const char* examples;
  std::vector<ring_row> (*rows)();
};

/// Removed with the object.
class files_of_sessions {
 public:
  explicit files_of_sessions(std::string folder) : folder_(std::move(folder)) {}
  ~files_of_sessions() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  files_of_sessions(const files_of_sessions&) = delete;
  files_of_sessions& operator=(const files_of_sessions&) = delete;

 private:
  std::string folder_;
};

struct ring_found {
  ring_row row;
  bench::ring_comparison figures;

  [[nodiscard]] bool compared() const { return !figures.other.empty(); }
  [[nodiscard]] double value() const { return bench::median(figures.ring); }
  /// What the target is of.
  [[nodiscard]] double judged() const { return compared() ? figures.median_ratio() : value(); }
  [[nodiscard]] bool reached() const { return row.at_most ? judged() <= *row.target : judged() >= *row.target; }
};

boost::json::object as_json(const ring_found& one) {
  boost::json::object all{{"what", one.row.what}, {"value", one.value()}};
  if (one.compared()) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < one.figures.ring.size(); ++i)
      ratios.push_back(one.figures.ring[i] / one.figures.other[i]);
    all["against"] = one.row.against;
    all["against_value"] = bench::median(one.figures.other);
    all["ratio"] = one.judged();
    all["ratio_min"] = *std::min_element(ratios.begin(), ratios.end());
    all["ratio_max"] = *std::max_element(ratios.begin(), ratios.end());
    all["rounds"] = ratios.size();
  }
  if (one.row.target) {
    all[one.row.at_most ? "at_most" : "at_least"] = *one.row.target;
    all["reached"] = one.reached();
  }
  return all;
}

boost::json::object as_json(const char* name, const ring_plan& plan, const std::vector<ring_found>& found,
                            const bench::machine& host) {
  boost::json::object figures;
  for (const auto& one : found) figures[one.row.name] = as_json(one);
  return {{"name", name},
          {"ring_bytes", plan.with.ring_bytes},
          {"machine", to_json(host)},
          {"figures", std::move(figures)}};
}

std::string as_table(const ring_plan& plan, const std::vector<ring_found>& found, const bench::machine& host) {
  using bench::alignment;
  bench::text_table table({"", "measured", "against", "", "ratio", "target", "reached"},
                          {alignment::left, alignment::right, alignment::left, alignment::right, alignment::right,
                           alignment::right, alignment::left});
  for (const auto& one : found) {
    const auto& row = one.row;
    std::string target, reached;
    if (row.target) {
      target = std::string(row.at_most ? "at most " : "at least ") +
               (one.compared() ? bench::fixed(*row.target, 2) : row.text(*row.target));
      reached = one.reached() ? "yes" : "NO";
    }
    table.add({row.what, row.text(one.value()), row.against,
               one.compared() ? row.text(bench::median(one.figures.other)) : "",
               one.compared() ? bench::fixed(one.judged(), 3) : "", target, reached});
  }
  return host.cpu + ", " + std::to_string(host.cores) + " cores, Linux " + host.kernel + ", " + compiler() +
         "; load average before: " + bench::fixed(host.load_average, 2) + "\nrings of " +
         std::to_string(plan.with.ring_bytes) + " B, rounds: " + std::to_string(plan.rounds) + "\n\n" + table.text();
}

std::vector<ring_row> chosen(std::vector<ring_row> all, const std::vector<std::string>& only) {
  const auto unwanted = [&](const ring_row& row) {
    return !only.empty() && std::none_of(only.begin(), only.end(), [&](const std::string& prefix) {
      return std::string_view(row.name).starts_with(prefix);
    });
  };
  all.erase(std::remove_if(all.begin(), all.end(), unwanted), all.end());
  return all;
}

// Its sockets and files lie in `directory`, unless runtime_dir and dir are given.
int run(ring_flags& flags, const ring_command& what, const std::string& directory) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  auto& plan = flags.plan;
  plan.with = *with;
  if (plan.with.runtime_dir.empty()) plan.with.runtime_dir = directory;
  plan.with.dir = (plan.with.dir.empty() ? directory : plan.with.dir) + "/ferry-bench-" + std::to_string(::getpid());
  plan.brief = flags.quick;
  plan.rounds = flags.quick ? 2 : static_cast<int>(flags.rounds);
  plan.idle = flags.idle.value_or(flags.quick ? std::chrono::milliseconds(200) : plan.idle);
  const auto all = what.rows();
  const auto wanted = chosen(all, flags.only);
  if (wanted.empty()) {
    std::string names;
    for (const auto& row : all) names += std::string(names.empty() ? "" : ", ") + row.name;
    return complain(error(errc::misuse, "--only: no measurement begins so; there are " + names));
  }
  const auto host = bench::this_machine();
  std::vector<ring_found> found;
  const files_of_sessions files(plan.with.dir);
  {
    progress bar("measuring", wanted.size(), "measurements");
    for (const auto& row : wanted) {
      bar.update(found.size());
      auto figures = row.measure(plan);
      if (!figures) return complain(figures.error().in(row.name));
      found.push_back({row, std::move(*figures)});
    }
  }
  return print(flags.json ? boost::json::serialize(as_json(what.name, plan, found, host)) + "\n"
                          : as_table(plan, found, host));
}

void add_comparisons(command_line bench, const ring_command& what, int& exit_code) {
  const auto flags = std::make_shared<ring_flags>();
  const command_line command = bench.add_command(what.name, what.summary, what.examples);
  command.add_list("--only", flags->only, "Only measurements whose name is, or begins with, this").type_name("NAME");
  add_whole(command, "--rounds", flags->rounds, option_unit::count, 1, "Rounds of each comparison (15)", 1000);
  add_pin(command, flags->plan.pin, "Keep who asks and sends on core A, its peer on core B (the first two cores)");
  command.add_flag("--quick", flags->quick, "Two rounds of each, short ones");
  command.add_flag("--json", flags->json, "One object");
  add_channel_flags(command, flags->channels);
  if (what.rows == ring_rows) add_seconds(command, flags->idle, "How long who waits is watched (3)");
  command.callback([flags, what, &exit_code] {
    exit_code = told_of(in_own_directory([&](const std::string& directory) { return run(*flags, what, directory); }));
  });
}

}  // namespace

void add_bench_ring(command_line bench, int& exit_code) {
  add_comparisons(bench, {"ring", "Shared memory against what the hardware allows", k_examples, ring_rows}, exit_code);
}

void add_bench_session(command_line bench, int& exit_code) {
  add_comparisons(bench,
                  {"session", "Persistent sessions against rings without one, and against the disk", k_session_examples,
                   session_rows},
                  exit_code);
}

void add_bench_sidecar(command_line bench, int& exit_code) {
  add_comparisons(bench,
                  {"sidecar", "Services that reach each other through a sidecar, against rings without one",
                   k_sidecar_examples, sidecar_rows},
                  exit_code);
}

}  // namespace ferry::app
