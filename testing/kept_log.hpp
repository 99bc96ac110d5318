#pragma once
/// The lines of a log, for tests on one thread.

#include <ferry/log.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::test {

/// Lines as "component: text".
struct kept_log final : log_sink {
  void write(log_level, std::string_view component, std::string_view text) noexcept override {
    lines.emplace_back(std::string(component) + ": " + std::string(text));
  }
  /// How many have this in them.
  [[nodiscard]] auto count(std::string_view text) const {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& one) { return one.find(text) != std::string::npos; });
  }
  std::vector<std::string> lines;
};

}  // namespace ferry::test
