#include "apps/ferry/bench_flags.hpp"

#include <ferry/listener.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "apps/ferry/app.hpp"
#include "apps/ferry/bench_sides.hpp"
#include "apps/ferry/flags.hpp"
#include "apps/ferry/workplace.hpp"

namespace ferry::app {
namespace {

std::optional<bench::core_pair> parse_pin(const std::string& text) {
  bench::core_pair cores;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, cores.first);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ',') return {};
  const auto second = std::from_chars(first.ptr + 1, end, cores.second);
  if (second.ec != std::errc() || second.ptr != end || cores.first < 0 || cores.second < 0) return {};
  return cores;
}

// Who listens where nobody does any more replaces the socket that was left, and takes its own away.
void remove_socket(const std::string& url, const channel_flags& flags) {
  auto with = options_from(flags);
  if (!with) return;
  const auto at = look_up(url, *with);
  if (!at || (at->scheme != "ipc" && at->scheme != "shm")) return;
  loop mine;
  if (auto left = listener::open(mine.channels, *at, *with)) left->close();
}

}  // namespace

flag add_pin(command_line command, bench::placement& pin, const std::string& help) {
  const auto read = [&pin](const std::string& text) {
    pin = parse_pin(text);
    if (!pin) refuse_usage("--pin " + shown(text, 64) + ": must be two core numbers, such as 0,1");
    const auto last = static_cast<int>(::sysconf(_SC_NPROCESSORS_CONF)) - 1;
    if (std::max(pin->first, pin->second) > last)
      refuse_usage("--pin " + text + ": this machine has cores 0 .. " + std::to_string(last));
  };
  return command.add_option("--pin", read, help).type_name("A,B");
}

flag add_seconds(command_line command, std::optional<std::chrono::nanoseconds>& duration, const std::string& help) {
  constexpr double k_least = 0.01;
  constexpr double k_most = 3600;
  const auto read = [&duration](const std::string& text) {
    const auto value = parse_number(text);
    if (!value || *value < k_least || *value > k_most)
      refuse_usage("--seconds " + shown(text, 64) + ": must be a number of seconds, 0.01 .. 3600");
    duration = std::chrono::nanoseconds(std::llround(*value * 1e9));
  };
  return command.add_option("--seconds", read, help).type_name("S");
}

int measure_at(const std::string& url, const channel_flags& channels,
               const std::function<int(const std::string& directory)>& body) {
  const auto outcome = in_own_directory(body);
  if (outcome && *outcome > 128) remove_socket(url, channels);
  return told_of(outcome);
}

int print(const std::string& text) {
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (whole && std::fflush(stdout) == 0) return k_ok;
  return complain(error::from_errno(errno, "write to standard output"));
}

}  // namespace ferry::app
