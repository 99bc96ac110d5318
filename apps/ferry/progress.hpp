#pragma once
/// A progress bar on standard error for what takes long.

#include <chrono>
#include <cstdint>
#include <string>

namespace ferry::app {

/// Draws at most ten times a second, and only if standard error is a terminal;
/// otherwise it writes nothing. One at a time in a process; lines of say() appear above it. One thread uses it.
class progress {
 public:
  /// @param title what is going on: "sending" @param total of `unit`, 0: not known @param unit "B", "messages" or "s"
  /// (which has no rate)
  /// @param after when it may be drawn first
  progress(std::string title, std::uint64_t total, std::string unit = "B",
           std::chrono::milliseconds after = std::chrono::milliseconds(500));
  ~progress();  ///< wipes the bar
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// @param done so far, not less than the last time. Cheap: looks at the clock, and draws if it is time.
  void update(std::uint64_t done) noexcept;
  /// Wipes the bar until the next update; for those who are about to write to standard error.
  void hide() noexcept;

  /// The bar that is on the terminal now, or null.
  [[nodiscard]] static progress* shown() noexcept;

 private:
  using clock = std::chrono::steady_clock;
  void draw(std::uint64_t done, clock::time_point now) noexcept;

  std::string title_;
  std::uint64_t total_;
  std::string unit_;
  bool terminal_;
  clock::time_point begin_;
  clock::time_point next_;
};

}  // namespace ferry::app
