// `ferry bench gateway`: echoes through a gateway, against a bare relay.
#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <memory>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_gateway.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/flags.hpp"
#include "bench/table.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_examples =
    "  ferry bench gateway --clients 10 --virtual 4 --window 16 --json\n"
    "  ferry bench gateway --all                         every load of docs/performance.md, 64 B and 1 KiB\n"
    "  ferry bench gateway --clients 100 --window 4 --rate 20000\n"
    "  ferry bench gateway --clients 100 --window 16 --threads 2\n"
    "  ferry bench gateway --carrier ws                  clients are WebSockets; snet, token: resumable streams\n"
    "  ferry bench gateway --dials                       virtual connections made and closed\n"
    "  ferry bench gateway --idle --clients 9000         memory of clients that say nothing\n"
    "  ferry bench gateway --client-url tcp://host:5000 --server-url tcp://host:5001 --key-file key\n"
    "\nThe gateway is a process on core A; the service, which echoes, and the load are two on core B. A bare epoll "
    "relay\n"
    "with one server socket for each client follows under the same load (64 bytes). Every echo is checked.";

struct load_flags {
  gateway_bench_plan plan;
  std::optional<std::chrono::nanoseconds> duration;
  std::string key_file, carrier = "tcp";
  std::uint64_t clients = 1, virtual_connections = 1, window = 1, size = 64, threads = 1;
  std::uint64_t rate = 0, repeat = 1, pid = 0;
  bool dials = false, idle = false, all = false, no_relay = false, json = false;
};

struct measured_run {
  gateway_bench_plan plan;
  gateway_bench_run run;
};

const char* to_string(gateway_work work) noexcept {
  switch (work) {
    case gateway_work::echo: return "echo";
    case gateway_work::dials: return "dials";
    case gateway_work::idle: return "idle";
  }
  return "?";
}

boost::json::object as_json(const measured_run& one, const bench::machine& host) {
  const auto& [plan, run] = one;
  boost::json::object all{
      {"name", "gateway"}, {"work", to_string(plan.work)}, {"clients", plan.clients}, {"machine", to_json(host)}};
  all["carrier"] = to_string(plan.carrier);
  if (plan.external.client_url.empty()) {
    all["threads"] = plan.threads;
    all["spin_ns"] = plan.spin.count();
  }
  if (plan.work == gateway_work::idle) {
    all["rss_bytes_per_client"] = run.bytes_per_client();
    return all;
  }
  if (plan.work == gateway_work::echo) {
    all["virtual"] = plan.virtual_connections;
    all["window"] = plan.window;
    all["size"] = plan.size;
    if (plan.rate != 0) all["rate"] = plan.rate;
  }
  const bool echo = plan.work == gateway_work::echo;
  all[echo ? "echoes" : "dials"] = run.echoes;
  all["seconds"] = run.seconds;
  all[echo ? "echoes_per_second" : "dials_per_second"] = run.per_second();
  if (run.cpu_seconds >= 0) all[echo ? "cpu_ns_per_echo" : "cpu_ns_per_dial"] = run.cpu_ns_per_echo();
  all["p50_ns"] = run.latency.quantile(0.5);
  all["p99_ns"] = run.latency.quantile(0.99);
  if (run.relay_cpu_ns_per_echo == 0) return all;
  all["limit_cpu_ns_per_echo"] = run.relay_cpu_ns_per_echo;
  all["limit_echoes_per_second"] = run.relay_echoes_per_second;
  all["limit_p50_ns"] = run.relay_p50_ns;
  all["limit_p99_ns"] = run.relay_p99_ns;
  if (run.cpu_seconds >= 0) all["ratio"] = run.ratio();
  return all;
}

// Half of the original's 99th percentile under the most that it carries, in nanoseconds.
struct p99_target {
  std::uint32_t clients, virtual_connections, window;
  std::uint64_t rate;  // that most
  double most_ns;
};
constexpr p99_target k_p99_targets[] = {
    {1, 1, 1, 16'800, 62.5e3}, {10, 4, 16, 138'000, 6e6}, {100, 1, 4, 91'000, 4.95e6}};

// Under no less load than the original's. @return null: there is no target
const p99_target* target_of(const gateway_bench_plan& plan) {
  if (plan.work != gateway_work::echo || plan.carrier != gateway_carrier::tcp || plan.size != 64) return nullptr;
  const auto* const found =
      std::find_if(std::begin(k_p99_targets), std::end(k_p99_targets), [&](const p99_target& one) {
        return plan.clients == one.clients && plan.virtual_connections == one.virtual_connections &&
               plan.window == one.window && (plan.rate == 0 || plan.rate >= one.rate);
      });
  return found == std::end(k_p99_targets) ? nullptr : found;
}

std::string as_table(const std::vector<measured_run>& runs, const bench::machine& host) {
  using bench::alignment;
  bench::text_table table(
      {"load", "bytes", "per second", "CPU each", "bare relay's", "ratio", "p50", "bare relay's", "p99", "bare relay's",
       "target of p99", "reached"},
      {alignment::left, alignment::right, alignment::right, alignment::right, alignment::right, alignment::right,
       alignment::right, alignment::right, alignment::right, alignment::right, alignment::right, alignment::left});
  for (const auto& [plan, run] : runs) {
    if (plan.work == gateway_work::idle) {
      table.add({std::to_string(plan.clients) + " idle clients", "", "", bench::fixed(run.bytes_per_client(), 0) + " B",
                 "", "", "", "", "", "", "", ""});
      continue;
    }
    const bool echo = plan.work == gateway_work::echo;
    auto load = echo ? std::to_string(plan.clients) + "x" + std::to_string(plan.virtual_connections) + "x" +
                           std::to_string(plan.window)
                     : std::to_string(plan.clients) + " clients dial";
    if (plan.carrier != gateway_carrier::tcp) load += std::string(", ") + to_string(plan.carrier);
    const bool relayed = run.relay_cpu_ns_per_echo != 0;
    const auto relays = [&](double figure) { return relayed ? bench::nanoseconds_text(figure) : ""; };
    const auto p99 = run.latency.quantile(0.99);
    const auto* const target = target_of(plan);
    table.add({load, echo ? std::to_string(plan.size) : "", bench::rate_text(run.per_second()),
               run.cpu_seconds < 0 ? "?" : bench::nanoseconds_text(run.cpu_ns_per_echo()),
               relays(run.relay_cpu_ns_per_echo), relayed && run.cpu_seconds >= 0 ? bench::fixed(run.ratio(), 2) : "",
               bench::nanoseconds_text(run.latency.quantile(0.5)), relays(run.relay_p50_ns),
               bench::nanoseconds_text(p99), relays(run.relay_p99_ns),
               target == nullptr ? "" : "<= " + bench::nanoseconds_text(target->most_ns),
               target == nullptr        ? ""
               : p99 <= target->most_ns ? "yes"
                                        : "no"});
  }
  return host.cpu + ", " + std::to_string(host.cores) + " cores, Linux " + host.kernel + ", " + compiler() +
         "; load average before: " + bench::fixed(host.load_average, 2) + "\n\n" + table.text();
}

std::vector<gateway_bench_plan> plans_of(const load_flags& flags) {
  auto plan = flags.plan;
  if (!flags.all) return std::vector<gateway_bench_plan>(flags.repeat, plan);
  std::vector<gateway_bench_plan> made;
  for (std::uint64_t i = 0; i < flags.repeat; ++i)
    for (const std::size_t size : {64, 1024})
      for (const auto& [clients, connections, window] :
           {std::tuple(1, 1, 1), std::tuple(10, 4, 16), std::tuple(100, 1, 4), std::tuple(1000, 4, 1)}) {
        plan.clients = static_cast<std::uint32_t>(clients);
        plan.virtual_connections = static_cast<std::uint32_t>(connections);
        plan.window = static_cast<std::uint32_t>(window);
        plan.size = size;
        made.push_back(plan);
      }
  return made;
}

int run(load_flags& flags, const std::string& directory) {
  auto& plan = flags.plan;
  if (plan.external.client_url.empty() != plan.external.server_url.empty())
    refuse_usage("--client-url and --server-url go together: give both");
  if (!flags.key_file.empty()) {
    std::ifstream from(flags.key_file);
    if (!std::getline(from, plan.external.key))
      return complain(error(errc::not_found, "--key-file: " + flags.key_file + " cannot be read"));
  }
  const auto* const carrier = std::find_if(std::begin(k_gateway_carriers), std::end(k_gateway_carriers),
                                           [&](auto one) { return flags.carrier == to_string(one); });
  if (carrier == std::end(k_gateway_carriers))
    refuse_usage("--carrier " + flags.carrier + ": must be tcp, ws, snet or token");
  plan.carrier = *carrier;
  if (plan.carrier == gateway_carrier::token && plan.external.client_url.empty()) {
    options made;
    if (const auto brought = bring_certificate("tls://127.0.0.1:0", made, directory); !brought)
      return complain(brought.error());
    plan.certificate = plan.ca = made.tls_ca;
  }
  plan.work = flags.dials ? gateway_work::dials : flags.idle ? gateway_work::idle : gateway_work::echo;
  plan.clients = static_cast<std::uint32_t>(flags.clients);
  plan.virtual_connections = static_cast<std::uint32_t>(flags.virtual_connections);
  plan.window = static_cast<std::uint32_t>(flags.window);
  plan.size = flags.size;
  plan.threads = static_cast<std::uint32_t>(flags.threads);
  plan.rate = flags.rate;
  plan.duration = flags.duration.value_or(std::chrono::seconds(1));
  plan.external.pid = static_cast<int>(flags.pid);
  plan.with_relay = !flags.no_relay;
  const auto host = bench::this_machine();
  std::vector<measured_run> runs;
  for (const auto& one : plans_of(flags)) {
    const auto made = run_gateway_bench(one);
    if (!made) return complain(made.error());
    runs.push_back({one, *made});
  }
  boost::json::array list;
  for (const auto& one : runs) list.push_back(as_json(one, host));
  const boost::json::value all = list.size() == 1 ? list.front() : boost::json::value(list);
  return print(flags.json ? boost::json::serialize(all) + "\n" : as_table(runs, host));
}

}  // namespace

void add_bench_gateway(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<load_flags>();
  const command_line command =
      bench.add_command("gateway", "Echoes through a gateway, against a bare relay", k_examples);
  add_whole(command, "--clients", flags->clients, option_unit::count, 1, "Clients (1)", 20'000);
  add_whole(command, "--virtual", flags->virtual_connections, option_unit::count, 1, "Virtual connections of each (1)",
            1000);
  add_whole(command, "--window", flags->window, option_unit::count, 1, "Messages on the way on each (1)", 1000);
  add_whole(command, "--size", flags->size, option_unit::size, 16, "Bytes of a message (64)", 256u << 10);
  add_whole(command, "--threads", flags->threads, option_unit::count, 1, "Threads of the gateway (1)", 256);
  add_duration(command, "--spin", flags->plan.spin,
               "How long each thread of the gateway looks for more before it sleeps (50us)",
               std::chrono::nanoseconds::zero());
  command.add_option("--carrier", flags->carrier,
                     "How clients come: tcp, ws, or resumable streams, snet over tcp or token over tls (tcp)");
  add_whole(command, "--rate", flags->rate, option_unit::count, 1,
            "So many questions in a second; an echo's time counts from when its question was due");
  const flag dials =
      command.add_flag("--dials", flags->dials, "Make and close virtual connections instead, 64 of a client at a time");
  command.add_flag("--idle", flags->idle, "Memory for each client that says nothing, between a ninth of them and all")
      .excludes(dials);
  command.add_flag("--all", flags->all, "1x1x1, 10x4x16, 100x1x4 and 1000x4x1, of 64 bytes and of 1 KiB")
      .excludes(dials);
  add_seconds(command, flags->duration, "How long one run takes (1); a quarter before is not counted");
  add_whole(command, "--repeat", flags->repeat, option_unit::count, 1, "Measure N times", 1000);
  add_pin(command, flags->plan.pin, "The gateway on core A, service and load on core B (the first two)");
  command.add_option("--client-url", flags->plan.external.client_url, "Somebody else's gateway: where clients come");
  command.add_option("--server-url", flags->plan.external.server_url, "And where servers come");
  command.add_option("--key-file", flags->key_file, "Whose first line is its key for servers");
  command.add_option("--ca", flags->plan.ca, "Certificates that its TLS is trusted by");
  add_whole(command, "--gateway-pid", flags->pid, option_unit::count, 1, "Its process, for its processor time",
            4'194'304);
  command.add_flag("--no-relay", flags->no_relay, "Without the bare relay");
  command.add_flag("--json", flags->json, "One object, or an array of them");
  command.callback([flags, &exit_code] {
    exit_code = measure_at("", {}, [&](const std::string& directory) { return run(*flags, directory); });
  });
}

}  // namespace ferry::app
