#pragma once
/// Flags that several `ferry bench` commands have.

#include <ferry/error.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "apps/ferry/settings.hpp"
#include "bench/limits.hpp"

namespace ferry::app {

class command_line;  // flags.hpp
class flag;

/// --pin A,B. `pin` must live as long as `command`.
flag add_pin(command_line command, bench::placement& pin, const std::string& help);
/// --seconds S: 0.01 .. 3600, fractions allowed; `duration` keeps its value without the flag.
flag add_seconds(command_line command, std::optional<std::chrono::nanoseconds>& duration, const std::string& help);

/// Writes one line of JSON or a text that ends with a newline to standard output. @return k_ok, or k_failed and says
/// why
[[nodiscard]] int print(const std::string& text);

/// Runs a measurement in a child process, with a directory that is removed afterwards. Ctrl-C ends it at once, and
/// leaves neither processes nor files nor the socket of `url` (empty: somebody else's). @return the exit status
[[nodiscard]] int measure_at(const std::string& url, const channel_flags& channels,
                             const std::function<int(const std::string& directory)>& body);

// Each adds one command below `bench`; as add_bench.
void add_bench_limits(command_line bench, int& exit_code);
void add_bench_compare(command_line bench, int& exit_code);
void add_bench_serve(command_line bench, int& exit_code);
void add_bench_connections(command_line bench, int& exit_code);
void add_bench_ring(command_line bench, int& exit_code);
void add_bench_sidecar(command_line bench, int& exit_code);
void add_bench_session(command_line bench, int& exit_code);
void add_bench_echo(command_line bench, int& exit_code);
void add_bench_gateway(command_line bench, int& exit_code);
void add_bench_producers(command_line bench, int& exit_code);

}  // namespace ferry::app
