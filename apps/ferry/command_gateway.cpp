// ferry gateway: clients and servers that reach each other through virtual connections.
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/gateway_flags.hpp"
#include "apps/ferry/log.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"
#include "channel/fail.hpp"
#include "gateway/gateway.hpp"
#include "net/event_loop.hpp"

namespace ferry::app {
namespace {

struct command_flags {
  gateway_flags parameters;
  log_level log = log_level::info;
  bool check = false;
};

std::span<const char* const> environment() {
  std::size_t count = 0;
  while (environ[count] != nullptr) ++count;
  return {environ, count};
}

std::string summary(const gateway::counts& all) {
  return std::to_string(all.clients_accepted) + " clients and " + std::to_string(all.servers_accepted) + " servers, " +
         std::to_string(all.dials.dialled) + " virtual connections, " + std::to_string(all.forwarded) + " packets (" +
         std::to_string(all.forwarded_bytes) + " bytes); closed: " + std::to_string(all.breaches) + " breaches, " +
         std::to_string(all.wrong_proofs) + " wrong proofs, " + std::to_string(all.idle) + " idle, " +
         std::to_string(all.slow) + " slow";
}

int run_gateway(const command_flags& flags) {
  const auto with = gateway_configuration(flags.parameters, environment());
  if (!with) return complain(with.error());
  for (const auto& [name, value] : flags.parameters.values)
    if (name.starts_with("server-auth-"))
      say("warning: everybody on this host can read the command line; --server-auth-key-file FILE keeps the key to "
          "itself");
  if (flags.check) return print("the configuration is good\n");

  stderr_log log(flags.log);
  boost::asio::io_context io(1);
  or_fail(net::make_ready(io));
  context where(io, {.buffers = with->memory, .log = &log, .level = flags.log});
  auto opened = gateway::service::open(where, with->service);
  if (!opened) return complain(opened.error());
  stop_signals signals(io, [&](int) {
    say("stopping: new dials are refused; again to end at once");
    opened->stop(with->stop_within, [&] { io.stop(); });
  });
  // Who reads these lines may stop it at once.
  say("clients: listening on " + opened->client_url());
  say("servers: listening on " + opened->server_url());
  io.run();
  say(summary(opened->stats()));
  return k_ok;
}

constexpr const char* k_examples =
    R"(  ferry gateway --client-addr :5000 --server-addr 127.0.0.1:5001
  ferry gateway --config gateway.toml --check        says whether it is good, and does nothing else
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
  command.add_option("--server-auth-key-file", flags->parameters.key_file, "A file with the key of servers")
      .type_name("FILE");
  command.add_option("--config", flags->parameters.config, "A TOML file with these names, at its top or in [gateway]")
      .type_name("FILE");
  command.add_flag("--check", flags->check, "Say whether the configuration is good, and end");
  add_log_flag(command, flags->log);
  command.callback([flags, &exit_code] { exit_code = run_gateway(*flags); });
}

}  // namespace ferry::app
