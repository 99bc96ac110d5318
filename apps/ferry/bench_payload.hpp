#pragma once
/// What a benchmark's messages contain, and what is checked of it: 8 bytes of sequence number (little endian), then a
/// body that depends on the sequence number.

#include <ferry/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/endian.hpp"

namespace ferry::app {

inline constexpr std::size_t k_bench_min_size = 8;        ///< bytes: the sequence number alone
inline constexpr std::size_t k_bench_small = 64;          ///< bodies of messages up to this size are all checked
inline constexpr std::uint64_t k_bench_check_every = 16;  ///< of larger ones, the body of every 16th is

/// The bodies of all messages: windows into one table, which step by a cache line from one message to the next, so
/// that making a message costs two stores and the table stays as warm as the payload of the bare limit.
class bench_pattern {
 public:
  /// @param size bytes of a message, at least k_bench_min_size
  explicit bench_pattern(std::size_t size);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// The message with this number; valid until the next call.
  [[nodiscard]] bytes stamp(std::uint64_t sequence) noexcept {
    store_le(stamped_, covered_);
    stamped_ = table_.data() + offset_of(sequence);
    covered_ = load_le<std::uint64_t>(stamped_);
    store_le(stamped_, sequence);
    return {stamped_, size_};
  }

  /// Whether this is the body of that message. Not for a pattern of which stamp() is used.
  /// @param payload size() bytes
  [[nodiscard]] bool body_matches(std::uint64_t sequence, bytes payload) const noexcept {
    const std::byte* expected = table_.data() + offset_of(sequence);
    return std::memcmp(payload.data() + sizeof sequence, expected + sizeof sequence, size_ - sizeof sequence) == 0;
  }

 private:
  static constexpr std::size_t k_step = 64;
  static constexpr std::size_t k_windows = 16;
  // The second term moves on the windows of every 16th message, which is the one that is checked.
  [[nodiscard]] static std::size_t offset_of(std::uint64_t sequence) noexcept {
    return (sequence + sequence / k_windows) % k_windows * k_step;
  }

  std::size_t size_;
  std::vector<std::byte> table_;
  std::byte* stamped_;
  std::uint64_t covered_;  // what the table has where the last sequence number was stamped
};

/// Counts and checks what arrives.
class bench_checker {
 public:
  explicit bench_checker(std::size_t size) : pattern_(size) {}

  struct counts {
    std::uint64_t messages = 0;
    std::uint64_t lost = 0;        ///< sequence numbers that were left out
    std::uint64_t duplicated = 0;  ///< sequence numbers that had come, or been left out, before
    std::uint64_t corrupt = 0;     ///< of another size, or with another body
  };

  void take(bytes payload) noexcept {
    counts_.messages += 1;
    if (payload.size() != pattern_.size()) [[unlikely]] {
      counts_.corrupt += 1;
      return;
    }
    const auto sequence = load_le<std::uint64_t>(payload.data());
    if (sequence != next_) [[unlikely]]
      note_gap(sequence);
    next_ += 1;
    if (payload.size() > k_bench_small && sequence % k_bench_check_every != 0) return;
    if (!pattern_.body_matches(sequence, payload)) counts_.corrupt += 1;
  }

  /// No more comes, though sequence numbers up to `end` (not included) were sent.
  void finish(std::uint64_t end) noexcept {
    if (next_ < end) counts_.lost += end - next_;
  }
  /// What comes next has this number; counts what follows from zero.
  void restart(std::uint64_t next) noexcept {
    next_ = next;
    counts_ = {};
  }
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
  [[nodiscard]] const counts& so_far() const noexcept { return counts_; }

 private:
  void note_gap(std::uint64_t sequence) noexcept;

  bench_pattern pattern_;
  std::uint64_t next_ = 0;
  counts counts_;
};

}  // namespace ferry::app
