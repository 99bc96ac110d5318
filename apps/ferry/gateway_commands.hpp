#pragma once
/// What operators ask of `ferry gateway` with SIGUSR1: commands in the file NAME.cmd, beside its pid file.

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <string>

#include "apps/ferry/log.hpp"
#include "gateway/command_table.hpp"
#include "gateway/parameters.hpp"

namespace ferry::app {

/// What the files beside the pid file begin with: "/run/fastway" of "/run/fastway.pid", in the directory of the pid
/// file with the gateway's name if it was given one; without a pid file its name, in the working directory; empty: its
/// name is empty, and it has no pid file.
[[nodiscard]] std::string operator_prefix(const gateway::configuration& with);

/// "log level", "drain", "cpuprof start" and "cpuprof stop". `log` must outlive the table.
/// @param prefix  of the files that profiles go to @param drain  begins an orderly end without a limit of time
void add_program_commands(gateway::command_table& to, stderr_log& log, const std::string& prefix,
                          std::function<void()> drain);

/// While it lives, SIGUSR1 runs the lines of PREFIX.cmd and says what they answer. The table must outlive it.
class command_file {
 public:
  command_file(boost::asio::io_context& io, const std::string& prefix, const gateway::command_table& commands);

 private:
  void wait();
  void run() const;
  std::string path_;
  const gateway::command_table& commands_;
  boost::asio::signal_set signals_;
};

}  // namespace ferry::app
