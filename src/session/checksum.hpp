#pragma once
/// The checksum of a session's private file: finds damage, not malice. Two words are folded into one by a
/// multiplication, each with a key of its place, and the folded words are added; so nothing waits for the
/// multiplication before. Source: docs/sessions.md.

#include <ferry/bytes.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/endian.hpp"

namespace ferry::session {

class checksum {
 public:
  /// The next two words.
  constexpr void add(std::uint64_t first, std::uint64_t second) noexcept {
    sum_ += folded(first ^ key_, second ^ (key_ + k_step));
    key_ += 2 * k_step;
  }
  /// Bytes as little-endian words, the last pair filled up with zeros.
  void add(bytes data) noexcept {
    while (data.size() >= 16) {
      add(load_le<std::uint64_t>(data.data()), load_le<std::uint64_t>(data.data() + 8));
      data = data.subspan(16);
    }
    if (data.empty()) return;
    std::byte rest[16]{};
    std::memcpy(rest, data.data(), data.size());
    add(load_le<std::uint64_t>(rest), load_le<std::uint64_t>(rest + 8));
  }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return folded(sum_ ^ k_step, k_last); }

 private:
  static constexpr std::uint64_t k_step = 0x9e37'79b9'7f4a'7c15;
  static constexpr std::uint64_t k_last = 0xd6e8'feb8'6659'fd93;
  __extension__ using wide = unsigned __int128;

  /// Both halves of the product, one laid over the other.
  [[nodiscard]] static constexpr std::uint64_t folded(std::uint64_t a, std::uint64_t b) noexcept {
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::uint64_t sum_ = 0;
  std::uint64_t key_ = k_step;
};

/// A number below 2^56 that tells whether it was damaged: 8 bits of check below it, so that it is stored in one step.
struct checked_number {
  static constexpr std::uint64_t k_none = ~std::uint64_t{0};
  [[nodiscard]] static constexpr std::uint64_t encode(std::uint64_t number) noexcept {
    return number << 8 | check(number);
  }
  /// @return the number, or k_none if it was damaged
  [[nodiscard]] static constexpr std::uint64_t decode(std::uint64_t word) noexcept {
    return (word & 0xff) == check(word >> 8) ? word >> 8 : k_none;
  }

 private:
  // No eight neighbouring bits of the factor are equal, so each flipped bit of the number shows in the top byte.
  [[nodiscard]] static constexpr std::uint64_t check(std::uint64_t number) noexcept {
    return (number * 0x9e37'79b9'7f4a'7c15) >> 56;
  }
};

}  // namespace ferry::session
