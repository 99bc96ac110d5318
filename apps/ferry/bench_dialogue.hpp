#pragma once
/// The few messages with which the two sides of a benchmark understand each other, in the channel that they measure,
/// so that the sides may be any two processes. Their first 8 bytes have the highest bit set, which no sequence number
/// has. All numbers are 64-bit little endian.
///
///   client                           server
///   hello(mode, size)          -->
///   messages, to warm up       -->   mode echo: sends them back; mode count: checks them
///   mark(next number)          -->   counts from zero from here
///                              <--   marked
///   messages, measured         -->
///   finish(next number)        -->
///                              <--   report(bench_side), then the end of its direction

#include <ferry/bytes.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "apps/ferry/bench_plan.hpp"
#include "base/endian.hpp"

namespace ferry::app {

enum class bench_word : std::uint64_t {
  hello = (std::uint64_t{1} << 63) + 1,
  mark,
  marked,
  finish,
  report,
};

enum class bench_mode : std::uint64_t { echo = 1, count = 2 };

/// A word and its numbers.
class bench_sentence {
 public:
  static constexpr std::size_t k_max_numbers = 6;

  bench_sentence() noexcept = default;
  bench_sentence(bench_word word, std::initializer_list<std::uint64_t> numbers) noexcept {
    put(static_cast<std::uint64_t>(word));
    for (const auto number : numbers) put(number);
  }
  [[nodiscard]] bytes wire() const noexcept { return {data_.data(), size_}; }

 private:
  void put(std::uint64_t number) noexcept {
    store_le(data_.data() + size_, number);
    size_ += sizeof number;
  }
  std::array<std::byte, 8 * (1 + k_max_numbers)> data_{};
  std::size_t size_ = 0;
};

/// A message that is no data.
[[nodiscard]] inline bool is_bench_word(bytes payload) noexcept {
  return payload.size() >= 8 && load_le<std::uint64_t>(payload.data()) >> 63 != 0;
}

/// Number `index` (from 0) of a sentence; 0 if it is not there.
[[nodiscard]] inline std::uint64_t bench_number(bytes payload, std::size_t index) noexcept {
  const auto at = 8 * (1 + index);
  return payload.size() < at + 8 ? 0 : load_le<std::uint64_t>(payload.data() + at);
}
[[nodiscard]] inline bench_word bench_word_of(bytes payload) noexcept {
  return static_cast<bench_word>(load_le<std::uint64_t>(payload.data()));
}

[[nodiscard]] inline bench_sentence report_of(const bench_side& side) noexcept {
  return {bench_word::report,
          {side.messages, side.lost, side.duplicated, side.corrupt, side.system_calls, side.allocations}};
}
[[nodiscard]] inline bench_side side_from(bytes report) noexcept {
  return {bench_number(report, 0), bench_number(report, 1), bench_number(report, 2),
          bench_number(report, 3), bench_number(report, 4), bench_number(report, 5)};
}

}  // namespace ferry::app
