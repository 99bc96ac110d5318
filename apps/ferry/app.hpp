#pragma once
/// The program's commands, and what a caller can rely on whichever command runs.

#include <ferry/error.hpp>

#include <string_view>

namespace ferry::app {

class command_line;  // flags.hpp

/// Exit statuses of the program. A second Ctrl-C ends it by the signal itself.
inline constexpr int k_ok = 0;      ///< everything was done, nothing was lost
inline constexpr int k_failed = 1;  ///< an error, a loss or a wrong echo; standard error says which, and how much
inline constexpr int k_usage = 2;   ///< the command line, an option or a URL is wrong; nothing was sent or received

/// Each adds one command to `app`. When the command is chosen, its callback does the work and writes the exit status to
/// `exit_code`, which must live as long as `app`.
void add_listen(command_line app, int& exit_code);
void add_send(command_line app, int& exit_code);
void add_connect(command_line app, int& exit_code);
void add_bridge(command_line app, int& exit_code);
void add_bench(command_line app, int& exit_code);
void add_demo(command_line app, int& exit_code);
void add_inspect(command_line app, int& exit_code);
void add_session(command_line app, int& exit_code);
void add_replay(command_line app, int& exit_code);
void add_fuzz(command_line app, int& exit_code);
void add_loopback(command_line app, int& exit_code);
void add_gateway(command_line app, int& exit_code);
void add_sidecar(command_line app, int& exit_code);

/// Writes "ferry: TEXT" as a line to standard error, after the progress bar if one is there.
void say(std::string_view text) noexcept;

/// Says what went wrong. @return the exit status: k_usage where the caller must change the command, else k_failed
[[nodiscard]] int complain(const error& why) noexcept;

}  // namespace ferry::app
