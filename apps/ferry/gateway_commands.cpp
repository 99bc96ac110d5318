#include "apps/ferry/gateway_commands.hpp"

#include <csignal>
#include <memory>
#include <utility>

#include "apps/ferry/app.hpp"
#include "apps/ferry/profiler.hpp"
#include "channel/wording.hpp"
#include "gateway/standard_commands.hpp"
#include "os/operator_files.hpp"

namespace ferry::app {
namespace {

using words = gateway::command_table::words;

result<std::string> change_level(stderr_log& log, words given) {
  for (const auto level : {log_level::error, log_level::warn, log_level::info, log_level::debug, log_level::trace})
    if (given.size() == 1 && given.front() == to_string(level)) {
      log.set_threshold(level);
      return std::string("from now on ") + to_string(level) + " and what is more important";
    }
  return error(errc::bad_option, "is one of error, warn, info, debug, trace");
}

// One profile at a time; what was sampled is written at the end, too.
struct profile {
  ~profile() {
    if (!path.empty()) stop_profile();
  }
  std::string path;  // empty: none is under way
};

result<std::string> begin(profile& now, const std::string& prefix) {
  if (!now.path.empty()) return error(errc::misuse, "it has begun, with " + now.path);
  const auto path = gateway::report_path(prefix, "cpu");
  if (!path) return path.error();
  if (const auto started = start_profile(*path); !started) return started.error();
  now.path = *path;
  return "samples go to " + now.path;
}

result<std::string> end(profile& now) {
  if (now.path.empty()) return error(errc::misuse, "none is under way");
  stop_profile();
  return std::exchange(now.path, {}) + " is written";
}

}  // namespace

std::string operator_prefix(const gateway::configuration& with) {
  if (with.pid_file.empty()) return with.name.value_or(std::string(gateway::k_default_name));
  if (with.name && !with.name->empty()) return with.pid_file.substr(0, with.pid_file.rfind('/') + 1) + *with.name;
  return with.pid_file.ends_with(".pid") ? with.pid_file.substr(0, with.pid_file.size() - 4) : with.pid_file;
}

void add_program_commands(gateway::command_table& to, stderr_log& log, const std::string& prefix,
                          std::function<void()> drain) {
  to.add({"log level", "LEVEL", "What is logged: error, warn, info, debug or trace",
          [&log](words given) { return change_level(log, given); }});
  to.add({"drain", "", "An orderly end when the last virtual connection has ended",
          [drain = std::move(drain)](words) -> result<std::string> {
            drain();
            return "nobody new and no new dials; it ends with the last virtual connection";
          }});
  const auto now = std::make_shared<profile>();
  to.add(
      {"cpuprof start", "", "Samples where processor time goes", [now, prefix](words) { return begin(*now, prefix); }});
  to.add({"cpuprof stop", "", "Ends that, and writes the profile", [now](words) { return end(*now); }});
}

command_file::command_file(boost::asio::io_context& io, const std::string& prefix,
                           const gateway::command_table& commands)
    : path_(prefix.empty() ? "" : prefix + ".cmd"), commands_(commands), signals_(io, SIGUSR1) {
  wait();
}

void command_file::wait() {
  signals_.async_wait([this](const boost::system::error_code& failed, int) {
    if (failed) return;
    wait();
    run();
  });
}

void command_file::run() const {
  if (path_.empty()) return say("commands are read from NAME.cmd, and with an empty --name there is none");
  const auto text = os::read_request(path_);
  if (!text) return say("commands: " + text.error().text());
  commands_.run_all(*text, [](const std::string& line) { say(line); });
}

}  // namespace ferry::app
