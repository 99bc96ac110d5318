// `ferry bench limits` and `ferry bench compare`: the measuring and comparing is bench/'s.
#include <boost/json.hpp>
#include <memory>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_output.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/progress.hpp"
#include "apps/ferry/workplace.hpp"
#include "bench/compare.hpp"
#include "bench/limits.hpp"

namespace ferry::app {
namespace {

constexpr const char* k_limits_examples =
    "  ferry bench limits\n"
    "  ferry bench limits --json > limits.json\n"
    "  ferry bench limits --only unix.pipeline_oneway --only tcp.pipeline_oneway --pin 0,1\n"
    "  ferry bench limits --quick                 shows that it works, says nothing about the machine\n"
    "  ferry bench limits --list                  the names of all measurements";

constexpr const char* k_compare_examples =
    "  ferry bench oneway ipc://@b --size 64 --repeat 5 --json > before.json\n"
    "  ferry bench compare before.json after.json";

struct limits_flags {
  bench::limits_options wanted;
  std::optional<std::chrono::nanoseconds> duration;
  std::uint64_t runs = 0;
  bool quick = false;
  bool list = false;
  bool json = false;
};

int list_names() {
  std::string text;
  for (const auto& name : bench::limit_names()) text += name + "\n";
  return print(text);
}

int limits(const limits_flags& flags) {
  auto wanted = flags.quick ? bench::limits_options::quick() : bench::limits_options();
  wanted.pin = flags.wanted.pin;
  wanted.only = flags.wanted.only;
  if (flags.duration) wanted.duration = *flags.duration;
  if (flags.runs != 0) wanted.runs = static_cast<int>(flags.runs);
  std::unique_ptr<progress> bar;
  wanted.progress = [&bar](std::string_view, int done, int total) {
    if (!bar) bar = std::make_unique<progress>("measuring", static_cast<std::uint64_t>(total), "runs");
    bar->update(static_cast<std::uint64_t>(done));
  };
  const auto measured = bench::measure_limits(wanted);
  bar.reset();
  if (!measured) return complain(measured.error());
  auto object = bench::to_json(*measured);
  object["machine"].as_object()["compiler"] = compiler();
  const int printed = print(flags.json ? boost::json::serialize(object) + "\n" : bench::to_table(*measured));
  return measured->failures.empty() ? printed : k_failed;
}

struct compare_flags {
  std::string a;
  std::string b;
  bool json = false;
};

int compare(const compare_flags& flags) {
  const auto found = bench::compare_files(flags.a, flags.b);
  if (!found) return complain(found.error());
  return print(flags.json ? boost::json::serialize(bench::to_json(*found)) + "\n"
                          : bench::to_table(*found, flags.a, flags.b));
}

}  // namespace

void add_bench_limits(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<limits_flags>();
  const command_line command =
      bench.add_command("limits", "What this machine can do, with bare system calls", k_limits_examples);
  add_pin(command, flags->wanted.pin, "Keep all measurements on cores A and B");
  command.add_list("--only", flags->wanted.only, "Only measurements whose name is, or begins with, this")
      .type_name("NAME");
  add_seconds(command, flags->duration, "Of each measurement, all its runs together (1)");
  add_whole(command, "--runs", flags->runs, option_unit::count, 1, "Runs of each measurement (5)", 100);
  command.add_flag("--quick", flags->quick, "One run of 50 ms of each");
  command.add_flag("--list", flags->list, "List the names of all measurements and end");
  command.add_flag("--json", flags->json, "One object");
  command.callback([flags, &exit_code] {
    exit_code = flags->list ? list_names() : told_of(in_child([&] { return limits(*flags); }));
  });
}

void add_bench_compare(command_line bench, int& exit_code) {
  const auto flags = std::make_shared<compare_flags>();
  const command_line command = bench.add_command(
      "compare", "Two results, figure by figure, and what of the difference is noise", k_compare_examples);
  command.add_option("A", flags->a, "A file with the output of --json, of one run or of several").required();
  command.add_option("B", flags->b, "What to compare it with").required();
  command.add_flag("--json", flags->json, "One object");
  command.callback([flags, &exit_code] { exit_code = compare(*flags); });
}

}  // namespace ferry::app
