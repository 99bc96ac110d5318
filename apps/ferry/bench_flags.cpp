#include "apps/ferry/bench_flags.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "apps/ferry/app.hpp"
#include "apps/ferry/flags.hpp"

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

}  // namespace

CLI::Option* add_pin(CLI::App& command, bench::placement& pin, const std::string& help) {
  const auto read = [&pin](const std::string& text) {
    pin = parse_pin(text);
    if (!pin) throw CLI::ValidationError("--pin " + shown(text, 64) + ": must be two core numbers, such as 0,1");
  };
  return command.add_option_function<std::string>("--pin", read, help)->type_name("A,B");
}

CLI::Option* add_seconds(CLI::App& command, std::optional<std::chrono::nanoseconds>& duration,
                         const std::string& help) {
  constexpr double k_least = 0.01;
  constexpr double k_most = 3600;
  const auto read = [&duration](const std::string& text) {
    const auto value = parse_number(text);
    if (!value || *value < k_least || *value > k_most)
      throw CLI::ValidationError("--seconds " + shown(text, 64) + ": must be a number of seconds, 0.01 .. 3600");
    duration = std::chrono::nanoseconds(std::llround(*value * 1e9));
  };
  return command.add_option_function<std::string>("--seconds", read, help)->type_name("S");
}

int print(const std::string& text) {
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (whole && std::fflush(stdout) == 0) return k_ok;
  return complain(error::from_errno(errno, "write to standard output"));
}

}  // namespace ferry::app
