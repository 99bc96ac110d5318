// ferry loopback: the loopback harness. Both ends in one process, over every transport, with traffic by chance.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/host.hpp"
#include "apps/ferry/loopback.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/workplace.hpp"
#include "bench/tls_line.hpp"

namespace ferry::app {
namespace {

struct loopback_flags {
  std::vector<std::string> only;
  std::uint64_t connections = 100;
  std::uint64_t seed = 1;
  std::chrono::nanoseconds wait = std::chrono::seconds(10);
  channel_flags channels;
};

int run_one(const loopback_flags& flags, const std::string& scheme, const std::string& directory, options with) {
  host here(flags.channels.log);
  options serving = with, asking = with;
  serving.runtime_dir = asking.runtime_dir = directory;
  if (speaks_tls(scheme)) {
    serving.tls_certificate = asking.tls_ca = directory + "/certificate-" + scheme;
    if (!bench::write_certificate(serving.tls_certificate)) {
      say(scheme + ": OpenSSL could not make a certificate");
      return k_failed;
    }
  }
  const auto figures = run_loopback(here.channels(), free_url(scheme, directory), serving, asking, flags.seed,
                                    flags.connections, flags.wait);
  if (!figures) return complain(figures.error().in(scheme));
  return print(scheme + ": " + std::to_string(figures->connections) + " connections (" + std::to_string(figures->cut) +
               " cut, " + std::to_string(figures->half_open) + " half open), " + std::to_string(figures->messages) +
               " messages, " + std::to_string(figures->bytes) + " bytes, all as they must be\n");
}

int loopback(const loopback_flags& flags) {
  const auto with = options_from(flags.channels);
  if (!with) return complain(with.error());
  std::vector<std::string> schemes;
  {
    host look(flags.channels.log);
    schemes = look.channels().schemes();
    std::erase(schemes, "sidecar");  // whose two ends have a third process between them
  }
  for (const auto& one : flags.only)
    if (std::find(schemes.begin(), schemes.end(), one) == schemes.end()) {
      say("--only " + shown(one, 64) + ": must be one of " +
          joined(std::vector<std::string_view>(schemes.begin(), schemes.end())));
      return k_usage;
    }
  const auto& wanted = flags.only.empty() ? schemes : flags.only;
  return told_of(in_own_directory([&](const std::string& directory) {
    int worst = k_ok;
    for (const auto& scheme : wanted) worst = std::max(worst, run_one(flags, scheme, directory, *with));
    return worst;
  }));
}

constexpr const char* k_examples =
    R"(  ferry loopback                                  every transport, 100 connections each
  ferry loopback --only tcp --only tls --connections 10k
  ferry loopback --only shm --seed 4711 --connections 1
  ferry loopback -o senders=many -o framing=typed

Each connection has messages of sizes, kinds and types by chance in both directions; some are cut in the middle, in
some one side begins to speak when the other has ended.
Exit status: 0 each message arrived once, in order, as it was sent, or was reported as lost; 1 not so, with the seed;
2 wrong command line.)";

}  // namespace

void add_loopback(command_line app, int& exit_code) {
  const auto flags = std::make_shared<loopback_flags>();
  const command_line command = app.add_command(
      "loopback", "Check every transport with traffic by chance, both ends in this process", k_examples);
  command.add_list("--only", flags->only, "Only this transport; may be given several times").type_name("SCHEME");
  add_whole(command, "--connections", flags->connections, option_unit::count, 1, "How many for each (default 100)")
      .type_name("N");
  add_whole(command, "--seed", flags->seed, option_unit::count, 0, "The first one's number (default 1)").type_name("N");
  add_duration(command, "--wait", flags->wait, "How long something may take to happen (default 10s)");
  add_channel_flags(command, flags->channels);
  command.callback([flags, &exit_code] { exit_code = loopback(*flags); });
}

}  // namespace ferry::app
