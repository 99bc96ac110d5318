#pragma once
/// Where the library's log goes: a sink that the program gives. Without one nothing is written, and nothing is built.
/// Includes no Boost.

#include <concepts>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace ferry {

/// From what an operator must see to what only a developer wants.
enum class log_level : std::uint8_t { error, warn, info, debug, trace };

[[nodiscard]] constexpr const char* to_string(log_level level) noexcept {
  switch (level) {
    case log_level::error: return "error";
    case log_level::warn: return "warn";
    case log_level::info: return "info";
    case log_level::debug: return "debug";
    case log_level::trace: return "trace";
  }
  return "unknown";
}

/// Takes finished lines. Thread safety: write() may be called from every thread that runs the library.
class log_sink {
 public:
  virtual ~log_sink() = default;
  /// @param component who speaks, such as "listener"; both texts are valid during the call only, without a newline.
  virtual void write(log_level level, std::string_view component, std::string_view text) noexcept = 0;
};

/// A component's access to the sink. Cheap to copy; the sink and the name of the component must outlive it.
class logger {
 public:
  logger() noexcept = default;
  /// @param sink null: nothing is written. @param threshold the least important level that is written.
  logger(log_sink* sink, log_level threshold, std::string_view component) noexcept
      : sink_(sink), component_(component), threshold_(threshold) {}

  /// The same sink and threshold for another component.
  [[nodiscard]] logger named(std::string_view component) const noexcept { return {sink_, threshold_, component}; }

  [[nodiscard]] bool enabled(log_level level) const noexcept { return sink_ != nullptr && level <= threshold_; }

  void write(log_level level, std::string_view text) const noexcept {
    if (enabled(level)) sink_->write(level, component_, text);
  }
  /// Calls `build` for the text only if the level is written; if that throws, a line that says so is written.
  template <class Build>
  requires requires(Build build) {
    { build() } -> std::convertible_to<std::string>;
  }
  void write(log_level level, Build&& build) const noexcept {
    if (!enabled(level)) return;
    try {
      const std::string text = std::forward<Build>(build)();
      sink_->write(level, component_, text);
    } catch (const std::exception&) {
      sink_->write(level, component_, "(the text of this line could not be built)");
    }
  }

 private:
  log_sink* sink_ = nullptr;
  std::string_view component_;
  log_level threshold_ = log_level::info;
};

}  // namespace ferry
