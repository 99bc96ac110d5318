// The program `ferry`: chooses the command, and says what is wrong with a command line that cannot be read.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "apps/ferry/app.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/gateway_flags.hpp"

namespace {

using ferry::app::say;

constexpr const char* k_examples = R"(Examples:
  ferry listen ipc://@news                       each message that arrives, as a line
  ferry send ipc://@news -m hello                one message
  ferry send tcp://localhost:5000 --file a.txt   the lines of a file
  ferry listen 'tcp://*:0' --echo --stats        any free port, which is printed
  ferry connect tcp://localhost:5000             talk by hand
  ferry COMMAND --help                           options and examples of a command

URLs: shm://NAME, ipc:///PATH, ipc://@NAME, tcp://HOST:PORT, tls://HOST:PORT,
      ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, sidecar://DIR?to=ENTITY (docs/transports.md).
Options: URL?name=value or -o name=value (docs/options.md).
Exit status: 0 all was done and nothing was lost, 1 an error or a loss, 2 the command line is wrong.)";

/// The command that the line is about: the one that was recognised, else the whole program.
const CLI::App& addressed(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

std::string full_name(const CLI::App& command) {
  const std::string above = command.get_parent() != nullptr ? full_name(*command.get_parent()) + " " : "";
  return above + command.get_name();
}

std::string joined_names(const CLI::App& command) {
  std::string text;
  for (const auto* one : command.get_subcommands({})) text += (text.empty() ? "" : ", ") + one->get_name();
  return text;
}

/// "unknown option '--ecoh', did you mean '--echo'?"
std::string not_understood(const CLI::App& command, const std::string& word) {
  std::vector<std::string> known;
  const bool option = word.size() > 1 && word.front() == '-';
  if (option) {
    for (const auto* one : command.get_options()) {
      for (const auto& name : one->get_lnames()) known.push_back("--" + name);
      for (const auto& name : one->get_snames()) known.push_back("-" + name);
    }
  } else {
    for (const auto* one : command.get_subcommands({})) known.push_back(one->get_name());
  }
  const std::vector<std::string_view> names(known.begin(), known.end());
  const std::string shown = ferry::shown(word, 64);
  if (option) return "unknown option '" + shown + "'" + ferry::did_you_mean(word.substr(0, word.find('=')), names);
  if (names.empty()) return "'" + shown + "' is one word too many";
  return ferry::not_known("command", word, word, names);
}

int explain(const CLI::App& app, const CLI::ParseError& wrong) {
  const CLI::App& command = addressed(app);
  // A word that was not understood explains everything that seems to be missing.
  const auto left = command.remaining();
  if (!left.empty()) {
    say(not_understood(command, left.front()));
  } else if (!command.get_subcommands({}).empty()) {
    say("a command is needed: " + joined_names(command));
  } else {
    say(wrong.what());
  }
  say("see '" + full_name(command) + " --help'");
  return ferry::app::k_usage;
}

// A descriptor that was closed when we started must not become a socket that is then taken for standard output. What
// stands there instead cannot be used either, so that its use shows as an error.
void keep_standard_descriptors() noexcept {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
  }
}

int run(int argc, char** argv) {
  int exit_code = ferry::app::k_ok;
  CLI::App app("Messages between processes: one channel API over shared memory, Unix sockets, TCP, TLS and WebSocket.",
               "ferry");
  app.set_version_flag("--version", "ferry " FERRY_VERSION, "The version");
  app.footer(k_examples);
  app.require_subcommand(1);
  app.get_formatter()->column_width(28);
  const ferry::app::command_line commands(app);
  ferry::app::add_listen(commands, exit_code);
  ferry::app::add_send(commands, exit_code);
  ferry::app::add_connect(commands, exit_code);
  ferry::app::add_bridge(commands, exit_code);
  ferry::app::add_bench(commands, exit_code);
  ferry::app::add_demo(commands, exit_code);
  ferry::app::add_inspect(commands, exit_code);
  ferry::app::add_session(commands, exit_code);
  ferry::app::add_replay(commands, exit_code);
  ferry::app::add_fuzz(commands, exit_code);
  ferry::app::add_loopback(commands, exit_code);
  ferry::app::add_gateway(commands, exit_code);
  ferry::app::add_sidecar(commands, exit_code);
  try {
    std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    if (!words.empty() && words.front() == "gateway") words = ferry::app::spelled_as_ours(std::move(words));
    std::reverse(words.begin(), words.end());  // as the library wants them
    app.parse(std::move(words));
  } catch (const CLI::Success& wanted) {  // --help, --version
    const int status = app.exit(wanted);
    if (std::cout.flush()) return status;
    say(std::string("output failed: ") + std::strerror(errno));
    return ferry::app::k_failed;
  } catch (const CLI::ParseError& wrong) {
    return explain(app, wrong);
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_descriptors();
  // A reader who went away shows as an error of write(), which is reported.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const ferry::failure& why) {
    return ferry::app::complain({why.reason(), why.what(), why.system_errno()});
  } catch (const std::exception& unexpected) {
    say(std::string("unexpected error: ") + unexpected.what());
    return ferry::app::k_failed;
  }
}
