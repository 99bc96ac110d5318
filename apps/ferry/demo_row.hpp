#pragma once
/// One row of the demo: all lines of a text through one transport, there and back.

#include <ferry/error.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "apps/ferry/bench_histogram.hpp"
#include "apps/ferry/demo_text.hpp"

namespace ferry::app {

struct demo_figures {
  std::uint64_t sent = 0;
  std::uint64_t arrived = 0;  ///< at the other side
  std::uint64_t back = 0;
  std::uint64_t checksum_there = 0;  ///< of what arrived, in its order
  std::uint64_t checksum_back = 0;
  std::int64_t elapsed_ns = 0;  ///< from the first message to the last echo
  bench_histogram rtt;          ///< afterwards: one message in flight
};

struct demo_row {
  std::string name;  ///< the scheme, and "-persistent" with a session
  demo_figures figures;
  std::string failure;  ///< why the row was not finished; empty: it was
  std::string about{};  ///< a sentence below the table; may be empty

  [[nodiscard]] std::uint64_t lost() const noexcept { return below(figures.sent, figures.back); }
  [[nodiscard]] std::uint64_t duplicated() const noexcept { return below(figures.back, figures.sent); }
  [[nodiscard]] bool checksum_equal(const demo_text& text) const noexcept {
    return figures.checksum_there == text.checksum() && figures.checksum_back == text.checksum();
  }
  [[nodiscard]] bool perfect(const demo_text& text) const noexcept {
    return failure.empty() && figures.sent == text.lines() && lost() == 0 && duplicated() == 0 && checksum_equal(text);
  }

 private:
  [[nodiscard]] static std::uint64_t below(std::uint64_t wanted, std::uint64_t had) noexcept {
    return had < wanted ? wanted - had : 0;
  }
};

/// What every row asks after the lines, one question at a time: so many, but not for longer than this.
inline constexpr std::string_view k_demo_question = "a line of sixty-four bytes, as many round trips are made of it..";
static_assert(k_demo_question.size() == 64);
inline constexpr std::uint64_t k_demo_round_trips = 5000;
inline constexpr std::int64_t k_demo_longest_ns = 500'000'000;
/// When a row is given up: at a hundredth of the slowest speed that was ever seen.
[[nodiscard]] std::chrono::seconds demo_time_for(const demo_text& text);

/// Blocks until it is done; the two sides are two child processes, or one where messages do not leave the process.
/// The client draws a progress bar if standard error is a terminal.
/// @param directory where a transport may put its socket
[[nodiscard]] demo_row run_demo_row(const std::string& scheme, const demo_text& text, const std::string& directory);
/// The same in a persistent session, whose other side is killed (`kill -9`) in the middle, while it handles a message,
/// and started again.
[[nodiscard]] demo_row run_persistent_demo_row(const std::string& scheme, const demo_text& text,
                                               const std::string& directory);

}  // namespace ferry::app
