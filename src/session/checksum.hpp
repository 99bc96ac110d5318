#pragma once
/// The checksum of a session's files: finds damage, not malice. Words go into four lanes in turn, which wait for nobody
/// but themselves; each step of a lane is a bijection of the word and of what was before, so damage to one word always
/// shows. Source: docs/sessions.md, section 'The checksum'.

#include <ferry/bytes.hpp>

#include <bit>
#include <cstdint>
#include <utility>

#include "base/endian.hpp"

namespace ferry::session {

class checksum {
 public:
  /// The next two words.
  constexpr void add(std::uint64_t first, std::uint64_t second) noexcept {
    even_ = std::rotl(even_ ^ first, 29) * k_even;
    odd_ = std::rotl(odd_ ^ second, 29) * k_odd;
    std::swap(even_, next_even_);
    std::swap(odd_, next_odd_);
  }
  /// Bytes as little-endian words. What is left of less than 16 bytes makes a pair of words that overlap; whoever needs
  /// to tell lengths apart adds the length too.
  void add(bytes data) noexcept {
    const std::byte* at = data.data();
    std::size_t left = data.size();
    for (; left >= 32; at += 32, left -= 32) {
      add(load_le<std::uint64_t>(at), load_le<std::uint64_t>(at + 8));
      add(load_le<std::uint64_t>(at + 16), load_le<std::uint64_t>(at + 24));
    }
    if (left >= 16) {
      add(load_le<std::uint64_t>(at), load_le<std::uint64_t>(at + 8));
      at += 16;
      left -= 16;
    }
    if (left >= 8)
      add(load_le<std::uint64_t>(at), load_le<std::uint64_t>(at + left - 8));
    else if (left >= 4)
      add(load_le<std::uint32_t>(at), load_le<std::uint32_t>(at + left - 4));
    else if (left != 0)
      add(static_cast<std::uint64_t>(at[0]) | static_cast<std::uint64_t>(at[left / 2]) << 8,
          static_cast<std::uint64_t>(at[left - 1]));
  }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept {
    return even_ ^ std::rotl(odd_, 32) ^ std::rotl(next_even_, 16) ^ std::rotl(next_odd_, 48);
  }

 private:
  static constexpr std::uint64_t k_even = 0x9e37'79b9'7f4a'7c15;
  static constexpr std::uint64_t k_odd = 0xd6e8'feb8'6659'fd93;

  std::uint64_t even_ = k_even;
  std::uint64_t odd_ = k_odd;
  std::uint64_t next_even_ = k_odd;  // of the pair after the next
  std::uint64_t next_odd_ = k_even;
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
