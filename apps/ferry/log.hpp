#pragma once
/// The library's log on standard error.

#include <ferry/log.hpp>

#include <memory>

namespace ferry::app {

/// One line per entry: "2026-01-31 12:00:00.000 warn listener: TEXT". Thread safety: all members, from any thread.
class stderr_log final : public log_sink {
 public:
  explicit stderr_log(log_level threshold);
  ~stderr_log() override;
  /// Lines that are less important are left out from now on.
  void set_threshold(log_level level) noexcept;
  void write(log_level level, std::string_view component, std::string_view text) noexcept override;

 private:
  struct parts;  // spdlog stays out of this header
  std::unique_ptr<parts> parts_;
};

}  // namespace ferry::app
