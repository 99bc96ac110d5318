// `ferry bench`: measures channels, and what the machine itself can do.
#include <boost/json.hpp>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/bench_payload.hpp"
#include "apps/ferry/bench_run.hpp"
#include "apps/ferry/bench_service.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/bench_time_bar.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_bench_examples =
    "  ferry bench rtt ipc://@bench --size 64            one message in flight, both processes sleep between\n"
    "  ferry bench rtt 'ipc://@bench?spin=1ms' --limit   both spin; held against a bare ping-pong\n"
    "  ferry bench oneway tcp://127.0.0.1:0 --size 1KiB --repeat 5 --limit\n"
    "  ferry bench rtt 'shm://bench?session=persistent'  one transaction for each message, at both ends\n"
    "  ferry bench ring                                  shared memory against what the hardware allows\n"
    "  ferry bench limits --json > limits.json           what this machine can do\n"
    "  ferry bench compare before.json after.json        what changed, and what of it is noise";

constexpr const char* k_checks =
    "\nEvery message carries its sequence number, which is checked, and a body that depends on it: the whole body is\n"
    "checked of every message of up to 64 bytes and of every 16th larger one. The exit status is 0 only if nothing "
    "was\n"
    "lost, duplicated or corrupt.";

constexpr const char* k_rtt_examples =
    "  ferry bench rtt ipc://@bench --size 64 --pin 0,1 --json\n"
    "  ferry bench rtt 'tcp://127.0.0.1:0?spin=1ms' --limit --repeat 5\n"
    "  ferry bench serve tcp://0.0.0.0:5000              on one machine, and on another:\n"
    "  ferry bench rtt tcp://server:5000 --external";

constexpr const char* k_oneway_examples =
    "  ferry bench oneway ipc://@bench --size 1KiB --seconds 5\n"
    "  ferry bench oneway ipc://@bench --size 64 --count 10M --json\n"
    "  ferry bench oneway tcp://127.0.0.1:0 --size 100KiB --limit --repeat 5\n"
    "  ferry bench oneway ipc://@bench --size 64 --write-only";

constexpr std::chrono::seconds k_longest_counted{600};

struct run_flags {
  bench_plan plan;
  channel_flags channels;
  std::optional<std::chrono::nanoseconds> duration;
  std::uint64_t size = 64;
  std::uint64_t count = 0;
  std::uint64_t repeat = 1;
  bool limit = false;
  bool json = false;
  bool write_only = false;
  bool read_only = false;
};

result<std::vector<bench_result>> measure(const bench_plan& plan, std::uint32_t repeat, bool with_limit) {
  const auto one_run = plan.duration * (with_limit ? 2 : 1);
  const auto all = std::chrono::ceil<std::chrono::seconds>(one_run * repeat);
  const time_bar bar(plan.count ? std::chrono::seconds(0) : all);
  return run_benches(plan, {repeat, with_limit});
}

int run(run_flags& flags) {
  auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  auto& plan = flags.plan;
  plan.with = *with;
  if (!plan.external)
    if (const auto made = bring_certificate(plan.url, plan.with, plan.directory); !made) return complain(made.error());
  plan.size = flags.size;
  if (flags.count != 0) plan.count = flags.count;
  plan.duration = flags.duration.value_or(flags.count != 0 ? k_longest_counted : std::chrono::seconds(2));
  if (flags.write_only) plan.kind = bench_kind::write_only;
  if (flags.read_only) plan.kind = bench_kind::read_only;

  if (const auto two = bench::two_cores(); two && !plan.pin && plan.kind == bench_kind::rtt && spins(plan))
    plan.pin = *two;

  const auto host = bench::this_machine();
  const auto runs = measure(plan, static_cast<std::uint32_t>(flags.repeat), flags.limit);
  if (!runs) return complain(runs.error());
  const auto text =
      flags.json ? boost::json::serialize(to_json(plan, *runs, host)) + "\n" : to_table(plan, *runs, host);
  const int printed = print(text);
  for (const auto& one : *runs)
    if (!one.perfect()) {
      say(std::to_string(one.lost) + " messages lost, " + std::to_string(one.duplicated) + " duplicated, " +
          std::to_string(one.corrupt) + " corrupt");
      return k_failed;
    }
  return printed;
}

command_line add_run(command_line bench, bench_kind kind, const std::string& summary, const std::string& examples,
                     const std::shared_ptr<run_flags>& flags, int& exit_code) {
  flags->plan.kind = kind;
  const command_line command = bench.add_command(to_string(kind), summary, examples + std::string("\n") + k_checks);
  command
      .add_option("URL", flags->plan.url,
                  "Where the two sides meet: shm://NAME, ipc://@NAME, tcp://127.0.0.1:0, inproc://NAME")
      .required();
  add_whole(command, "--size", flags->size, option_unit::size, k_bench_min_size, "Bytes of a message (64)");
  add_whole(command, "--count", flags->count, option_unit::count, 1,
            "End after so many messages, or after --seconds (then 600)");
  add_seconds(command, flags->duration, "End after so many seconds (2); the warm-up before is not counted");
  add_pin(command, flags->plan.pin,
          "Keep the sending side on core A, the receiving side on core B (spinning round trips: the first two cores)");
  add_whole(command, "--repeat", flags->repeat, option_unit::count, 1,
            "Measure N times: medians and spread, or an array with --json", 1000);
  command.add_flag(
      "--limit", flags->limit,
      "After each run one of the machine's own limit, with bare system calls, and the ratio (ipc, tcp; tls one way)");
  command.add_flag("--external", flags->plan.external, "Start no other side: `ferry bench serve URL` runs somewhere");
  command.add_flag("--json", flags->json, "One object, or with --repeat an array of them");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] {
    const std::string own = flags->plan.external ? "" : flags->plan.url;
    exit_code = measure_at(own, flags->channels, [&](const std::string& directory) {
      flags->plan.directory = directory;
      return run(*flags);
    });
  });
  return command;
}

void add_oneway(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<run_flags>();
  const command_line command =
      add_run(bench, bench_kind::oneway, "Messages in one direction, as many as the channel takes", k_oneway_examples,
              flags, exit_code);
  command.add_flag("--uds-pair", flags->plan.uds_pair,
                   "Through a uds_writer and a uds_reader (docs/compat-uds.md) instead of channels; ipc alone");
  const flag write_only = command.add_flag("--write-only", flags->write_only,
                                           "The sending half alone: the peer reads bytes and throws them away");
  command
      .add_flag("--read-only", flags->read_only,
                "The receiving half alone: the peer writes a prebuilt buffer again and again")
      .excludes(write_only);
}

int serve(const std::string& url, const channel_flags& flags) {
  const auto with = options_from(flags);
  if (!with) return complain(with.error());
  host on(flags.log);
  auto service = bench_service::open(on.channels(), url, *with);
  if (!service) return complain(service.error());
  service->on_end([](const error& why) {
    if (why != errc::closed && why != errc::end_of_stream) say("a client left: " + why.text());
  });
  say("serving at " + service->url() + ", until Ctrl-C");
  const stop_signals stop(on.io(), [&](int) {
    service->close();
    on.io().stop();
  });
  on.io().run();
  return k_ok;
}

}  // namespace

void add_bench_serve(command_line bench, int& exit_code) {
  struct serve_flags {
    std::string url;
    channel_flags channels;
  };
  const auto flags = std::make_shared<serve_flags>();
  const command_line command =
      bench.add_command("serve", "The other side for `bench rtt` and `bench oneway` with --external",
                        "  ferry bench serve tcp://0.0.0.0:5000\n  ferry bench serve 'ipc:///tmp/b.sock?spin=1ms'");
  command.add_option("URL", flags->url, "Where to listen").required();
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] { exit_code = serve(flags->url, flags->channels); });
}

void add_bench(command_line app, int& exit_code) {
  const command_line bench =
      app.add_command("bench", "Measure channels, and what this machine itself can do", k_bench_examples);
  bench.need_command();
  add_run(bench, bench_kind::rtt, "Round trips: one message in flight", k_rtt_examples, std::make_shared<run_flags>(),
          exit_code);
  add_oneway(bench, exit_code);
  add_bench_serve(bench, exit_code);
  add_bench_echo(bench, exit_code);
  add_bench_gateway(bench, exit_code);
  add_bench_connections(bench, exit_code);
  add_bench_producers(bench, exit_code);
  add_bench_ring(bench, exit_code);
  add_bench_session(bench, exit_code);
  add_bench_sidecar(bench, exit_code);
  add_bench_limits(bench, exit_code);
  add_bench_compare(bench, exit_code);
}

}  // namespace ferry::app
