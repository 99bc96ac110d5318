#include "apps/ferry/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "apps/ferry/progress.hpp"

namespace ferry::app {
namespace {

spdlog::level::level_enum level_of(log_level level) noexcept {
  switch (level) {
    case log_level::error: return spdlog::level::err;
    case log_level::warn: return spdlog::level::warn;
    case log_level::info: return spdlog::level::info;
    case log_level::debug: return spdlog::level::debug;
    case log_level::trace: return spdlog::level::trace;
  }
  return spdlog::level::err;
}

}  // namespace

struct stderr_log::parts {
  spdlog::logger lines{"ferry", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};
};

stderr_log::stderr_log(log_level threshold) : parts_(std::make_unique<parts>()) {
  parts_->lines.set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  set_threshold(threshold);
}

stderr_log::~stderr_log() = default;

void stderr_log::set_threshold(log_level level) noexcept { parts_->lines.set_level(level_of(level)); }

void stderr_log::write(log_level level, std::string_view component, std::string_view text) noexcept {
  if (!parts_->lines.should_log(level_of(level))) return;
  if (auto* const bar = progress::shown()) bar->hide();
  parts_->lines.log(level_of(level), "{}: {}", component, text);
}

}  // namespace ferry::app
