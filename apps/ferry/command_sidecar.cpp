// ferry sidecar: services of one host that reach each other through rings in files.
#include <memory>
#include <optional>
#include <string>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/daemon.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/log.hpp"
#include "apps/ferry/parameter_sources.hpp"
#include "apps/ferry/pid_file.hpp"
#include "apps/ferry/reload.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/sidecar_flags.hpp"
#include "apps/ferry/signals.hpp"
#include "channel/fail.hpp"
#include "net/event_loop.hpp"
#include "sidecar/pages.hpp"
#include "sidecar/sidecar.hpp"

namespace ferry::app {
namespace {

struct command_flags {
  sidecar_flags parameters;
  log_level log = log_level::info;
  bool check = false;
};

std::string summary(const sidecar::daemon_counts& all) {
  std::uint64_t nowhere = 0;
  for (const auto one : all.data.undeliverable) nowhere += one;
  return std::to_string(all.control.registered) + " registrations, " + std::to_string(all.data.forwarded) +
         " messages handed on, " + std::to_string(nowhere) +
         " undeliverable; ended: " + std::to_string(all.control.unregistered) + " in order, " +
         std::to_string(all.control.lost) + " lost, " + std::to_string(all.control.timed_out) + " silent, " +
         std::to_string(all.control.breaches) + " breaches";
}

// From its start to its stop.
result<void> serve(const command_flags& flags, const sidecar::configuration& with, log_file* file) {
  stderr_log log(flags.log);
  boost::asio::io_context io(1);
  or_fail(net::make_ready(io));
  context where(io, {.log = &log, .level = flags.log});
  std::optional<pid_file> only_one;
  if (!with.pid_file.empty()) {
    auto made = pid_file::take(with.pid_file);
    if (!made) return made.error();
    only_one.emplace(std::move(*made));
  }
  auto opened = sidecar::daemon::open(where, with.process);
  if (!opened) return opened.error();
  const auto admin =
      open_pages(where, with.admin_url, [&](std::string_view path) { return sidecar::page_of(path, *opened); });
  if (!admin) return admin.error();
  const stop_signals signals(io, [&](int) {
    say("stopping: nobody new registers, what lies in the rings is read; again to end at once");
    opened->stop(with.stop_within, [&] { io.stop(); });
  });
  const orphan_reaper reaper(io);
  const hangup_signal on_hangup(io, [&] {
    reload(
        file, [&] { return sidecar_configuration(flags.parameters, environment_of_process()); },
        [&](const sidecar::configuration& now) { return opened->change(now.process); });
  });
  // Who reads these lines may stop it at once.
  for (const auto& one : with.process.entities)
    say("service " + std::to_string(one.service) + ", entity " + std::to_string(one.entity) + ": " + one.directory);
  if (*admin) say("operators: listening on " + (*admin)->url());
  io.run();
  say(summary(opened->stats()));
  return {};
}

int run_sidecar(const command_flags& flags) {
  const auto with = sidecar_configuration(flags.parameters, environment_of_process());
  if (!with) return complain(with.error());
  if (flags.check) return print("the configuration is good\n");
  return run_with_log(with->log_file, [&](log_file* file) { return serve(flags, *with, file); });
}

constexpr const char* k_examples =
    R"(  ferry sidecar --service name=7,id=101,dir=/run/ferry/101 --service name=8,id=201,dir=/run/ferry/201,pipes=2
  ferry sidecar --config sidecar.toml --check        says whether it is good, and does nothing else
  ferry sidecar --config sidecar.toml --admin-addr :9091

Exit status: 0 it was stopped, 1 it could not begin, 2 wrong command line or configuration.)";

void add_parameters(command_line command, const std::shared_ptr<command_flags>& flags, std::span<const parameter> table,
                    const std::string& behind) {
  for (const auto& one : table) {
    const std::string name(one.name);
    if (name == "name" || name == "id") continue;  // of one entity
    std::string help = std::string(one.help) + behind;
    if (!one.default_text.empty()) help += " (" + std::string(one.default_text) + ")";
    const auto keep = [flags, name](const std::string& value) { flags->parameters.values.emplace_back(name, value); };
    const flag option = command.add_option("--" + name, keep, help).type_name("VALUE");
    if (one.default_text == "false") option.optional_value("true");
  }
}

}  // namespace

void add_sidecar(command_line app, int& exit_code) {
  const auto flags = std::make_shared<command_flags>();
  const command_line command =
      app.add_command("sidecar", "Services of this host reach each other through rings in files", k_examples);
  command
      .add_list("--service", flags->parameters.services,
                "An entity: name=NUMBER of its service, id=its own, dir=DIRECTORY, and parameters of entities")
      .type_name("name=7,id=101,dir=DIR");
  command
      .add_option("--config", flags->parameters.config,
                  "A TOML file with these names, at its top or in [sidecar], and a [[service]] for each entity")
      .type_name("FILE");
  command.add_flag("--check", flags->check, "Say whether the configuration is good, and end");
  add_parameters(command, flags, sidecar::parameter_table(), "");
  add_parameters(command, flags, sidecar::entity_parameter_table(), "; of every entity");
  add_log_flag(command, flags->log);
  command.callback([flags, &exit_code] { exit_code = run_sidecar(*flags); });
}

}  // namespace ferry::app
