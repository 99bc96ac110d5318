// ferry gateway: clients and servers that reach each other through virtual connections.
#include <memory>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/daemon.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/gateway_commands.hpp"
#include "apps/ferry/gateway_flags.hpp"
#include "apps/ferry/gateway_place.hpp"
#include "apps/ferry/log.hpp"
#include "apps/ferry/parameter_sources.hpp"
#include "apps/ferry/reload.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"
#include "apps/ferry/tally.hpp"
#include "channel/fail.hpp"
#include "gateway/gateway.hpp"
#include "gateway/pages.hpp"
#include "gateway/reconfigure.hpp"
#include "gateway/standard_commands.hpp"
#include "net/event_loop.hpp"

namespace ferry::app {
namespace {

struct command_flags {
  gateway_flags parameters;
  log_level log = log_level::info;
  bool check = false;
  bool take_over = false;
};

std::string summary(const gateway::counts& all) {
  return std::to_string(all.clients_accepted) + " clients and " + std::to_string(all.servers_accepted) + " servers, " +
         std::to_string(all.dials.dialled) + " virtual connections, " + std::to_string(all.forwarded) + " packets (" +
         std::to_string(all.forwarded_bytes) + " bytes); closed: " + std::to_string(all.breaches) + " breaches, " +
         std::to_string(all.wrong_proofs) + " wrong proofs, " + std::to_string(all.idle) + " idle, " +
         std::to_string(all.slow) + " slow" +
         (all.resumable.made == 0 ? ""
                                  : "; resumable streams: " + std::to_string(all.resumable.made) + ", resumed " +
                                        std::to_string(all.resumable.resumed) + " times, given up " +
                                        std::to_string(all.resumable.given_up));
}

void warn_of(const command_flags& flags, const gateway::configuration& with) {
  for (const auto& [name, value] : flags.parameters.values)
    if (name == "server-auth-key" || name == "server-auth-password")
      say("warning: everybody on this host can read the command line; --server-auth-key-file FILE keeps the key to "
          "itself");
  for (const auto& side : {with.service.clients, with.service.servers})
    if (side.resume.kind == gateway::resume_kind::snet)
      say("warning: " + side.url +
          ": streams of snet protect nothing: who listens can read, change and take them over");
}

// From its start to its stop.
result<void> serve(const command_flags& flags, const gateway::configuration& with, log_file* file) {
  stderr_log log(flags.log);
  boost::asio::io_context io(1);
  or_fail(net::make_ready(io));
  // All of it: the level may change, and the log knows it.
  context where(io, std::make_shared<buffer_pool>(with.pool_kind, with.slab_bytes, with.memory),
                {.log = &log, .level = log_level::trace});
  const auto place = gateway_place::take(where, with, flags.take_over);
  if (!place) return place.error();
  auto opened = gateway::service::open(where, with.service);
  if (!opened) return with_advice(opened.error());
  auto admin =
      open_pages(where, with.admin_url, [&](std::string_view path) { return gateway::page_of(path, *opened); });
  if (!admin) return admin.error();
  auto holds = with;
  using gateway::leaving;
  const auto stop = [&](duration within, leaving how = leaving::together) {
    (*place)->close();
    opened->stop(
        within, [&] { io.stop(); }, how);
  };
  stop_signals signals(io, [&](int) {
    say("stopping: new dials are refused; again to end at once");
    stop(holds.stop_within);
  });
  const orphan_reaper reaper(io);
  const hangup_signal on_hangup(io, [&] {
    reload(
        file, [&] { return gateway_configuration(flags.parameters, environment_of_process()); },
        [&](const gateway::configuration& next) { return gateway::reconfigure(*opened, holds, next); });
  });
  gateway::command_table commands;
  const auto prefix = operator_prefix(with);
  gateway::add_standard_commands(commands, *opened, prefix);
  add_program_commands(commands, log, prefix, [&] { stop(k_longest_wait); });
  const command_file asked(io, prefix, commands);
  if (const auto settled = (*place)->settle([&] {
        admin->reset();
        stop(holds.stop_within, leaving::one_by_one);
      });
      !settled)
    return settled.error();
  // Who reads these lines may stop it at once.
  for (const auto& url : opened->urls(session::gateway_role::client)) say("clients: listening on " + url);
  for (const auto& url : opened->urls(session::gateway_role::server)) say("servers: listening on " + url);
  if (*admin) say("operators: listening on " + (*admin)->url());
  io.run();
  say(summary(opened->stats()));
  return {};
}

// Reads what a start would read, and binds nothing.
int check(const command_flags& flags, const gateway::configuration& with) {
  warn_of(flags, with);
  boost::asio::io_context io(1);
  const context where(io);
  if (const auto good = gateway::service::check(where, with.service); !good) {
    say(good.error().text());
    return k_usage;
  }
  return print("the configuration is good\n");
}

int run_gateway(const command_flags& flags) {
  const auto with = gateway_configuration(flags.parameters, environment_of_process());
  if (!with) return complain(with.error());
  if (flags.check) return check(flags, *with);
  return run_with_log(with->log_file, [&](log_file* file) {
    warn_of(flags, *with);
    return serve(flags, *with, file);
  });
}

constexpr const char* k_examples =
    R"(  ferry gateway --client-addr :5000 --server-addr 127.0.0.1:5001
  ferry gateway --config gateway.toml --check        says whether it is good, and does nothing else
  ferry gateway --config gateway.toml --take-over    instead of the one that runs here, which ends in order
  ferry gateway -ClientAddr=:5000 -ServerAddr 127.0.0.1:5001 -ClientMaxConn 16 -ReusePort=false
  FERRY_GATEWAY_SERVER_AUTH_KEY=... ferry gateway --client-addr :5000 --server-addr :5001

Exit status: 0 it was stopped, 1 it could not listen, 2 wrong command line or configuration.)";

}  // namespace

void add_gateway(command_line app, int& exit_code) {
  const auto flags = std::make_shared<command_flags>();
  const command_line command =
      app.add_command("gateway", "Clients and servers reach each other through virtual connections", k_examples);
  for (const auto& one : gateway::parameter_table()) {
    const std::string name(one.name);
    std::string help(one.help);
    if (!one.default_text.empty()) help += " (" + std::string(one.default_text) + ")";
    const auto keep = [flags, name](const std::string& value) { flags->parameters.values.emplace_back(name, value); };
    const flag option = command.add_option("--" + name, keep, help).type_name("VALUE");
    if (one.default_text == "false") option.optional_value("true");
  }
  command.add_option("--config", flags->parameters.config, "A TOML file with these names, at its top or in [gateway]")
      .type_name("FILE");
  command.add_flag("--check", flags->check, "Say whether the configuration is good, and end");
  command.add_flag("--take-over", flags->take_over,
                   "Take the place of the gateway that runs under this name, with its listening sockets");
  add_log_flag(command, flags->log);
  command.callback([flags, &exit_code] { exit_code = run_gateway(*flags); });
}

}  // namespace ferry::app
