// ferry gateway: clients and servers that reach each other through virtual connections.
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <memory>
#include <optional>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_flags.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/gateway_commands.hpp"
#include "apps/ferry/gateway_flags.hpp"
#include "apps/ferry/log.hpp"
#include "apps/ferry/log_file.hpp"
#include "apps/ferry/pid_file.hpp"
#include "apps/ferry/settings.hpp"
#include "apps/ferry/signals.hpp"
#include "channel/fail.hpp"
#include "gateway/admin_http.hpp"
#include "gateway/gateway.hpp"
#include "gateway/pages.hpp"
#include "gateway/standard_commands.hpp"
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

result<std::optional<pid_file>> take_pid_file(const gateway::configuration& with) {
  if (with.pid_file.empty() && with.name.empty()) return std::optional<pid_file>();
  auto made = pid_file::take(with.pid_file.empty() ? with.name + ".pid" : with.pid_file);
  if (!made) return made.error();
  return std::optional<pid_file>(std::move(*made));
}

// SIGHUP, unless this process was started with it ignored (nohup): opens the log anew, reads the configuration again.
class reloading {
 public:
  reloading(boost::asio::io_context& io, const command_flags& flags, gateway::service& of, log_file* log)
      : flags_(flags), of_(of), log_(log), signals_(io) {
    struct sigaction now {};
    if (::sigaction(SIGHUP, nullptr, &now) != 0 || now.sa_handler == SIG_IGN) return;
    signals_.add(SIGHUP);
    wait();
  }

 private:
  void wait() {
    signals_.async_wait([this](const boost::system::error_code& failed, int) {
      if (failed) return;
      wait();
      if (log_ != nullptr)
        if (const auto done = log_->reopen(); !done)
          say("warning: the log goes on in the file it was in: " + done.error().text());
      const auto with = gateway_configuration(flags_.parameters, environment());
      if (!with) return say("the configuration stays as it was: " + with.error().text());
      std::string left;
      for (const auto& name : of_.change(with->service)) left += (left.empty() ? "" : ", ") + name;
      say("the configuration was read again" + (left.empty() ? "" : "; with the next start only: " + left));
    });
  }
  const command_flags& flags_;
  gateway::service& of_;
  log_file* const log_;
  boost::asio::signal_set signals_;
};

// From its start to its stop.
result<void> serve(const command_flags& flags, const gateway::configuration& with, log_file* file) {
  stderr_log log(flags.log);
  boost::asio::io_context io(1);
  or_fail(net::make_ready(io));
  // All of it: the level may change, and the log knows it.
  context where(io, std::make_shared<buffer_pool>(with.pool_kind, with.slab_bytes, with.memory),
                {.log = &log, .level = log_level::trace});
  const auto only_one = take_pid_file(with);
  if (!only_one) return only_one.error();
  auto opened = gateway::service::open(where, with.service);
  if (!opened) return opened.error();
  std::optional<gateway::admin_http> admin;
  if (!with.admin_url.empty()) {
    auto made = gateway::admin_http::open(where, with.admin_url,
                                          [&](std::string_view path) { return gateway::page_of(path, *opened); });
    if (!made) return made.error().in("admin-addr");
    admin.emplace(std::move(*made));
  }
  const auto stop = [&](duration within) { opened->stop(within, [&] { io.stop(); }); };
  stop_signals signals(io, [&](int) {
    say("stopping: new dials are refused; again to end at once");
    stop(with.stop_within);
  });
  const reloading on_hangup(io, flags, *opened, file);
  gateway::command_table commands;
  const auto prefix = operator_prefix(with);
  gateway::add_standard_commands(commands, *opened, prefix);
  add_program_commands(commands, log, prefix, [&] { stop(k_longest_wait); });
  const command_file asked(io, prefix, commands);
  // Who reads these lines may stop it at once.
  for (const auto& url : opened->urls(session::gateway_role::client)) say("clients: listening on " + url);
  for (const auto& url : opened->urls(session::gateway_role::server)) say("servers: listening on " + url);
  if (admin) say("operators: listening on " + admin->url());
  io.run();
  say(summary(opened->stats()));
  return {};
}

int run_gateway(const command_flags& flags) {
  const auto with = gateway_configuration(flags.parameters, environment());
  if (!with) return complain(with.error());
  std::optional<log_file> file;
  if (!flags.check && !with->log_file.empty()) {
    auto taken = log_file::take(with->log_file);
    if (!taken) return complain(taken.error().in("log-file"));
    file.emplace(std::move(*taken));
  }
  warn_of(flags, *with);
  if (flags.check) return print("the configuration is good\n");
  const auto served = serve(flags, *with, file ? &*file : nullptr);
  if (served) return k_ok;
  if (file) say(served.error().text());
  file.reset();  // who started it looks at standard error
  return complain(served.error());
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
  command.add_option("--config", flags->parameters.config, "A TOML file with these names, at its top or in [gateway]")
      .type_name("FILE");
  command.add_flag("--check", flags->check, "Say whether the configuration is good, and end");
  add_log_flag(command, flags->log);
  command.callback([flags, &exit_code] { exit_code = run_gateway(*flags); });
}

}  // namespace ferry::app
