#pragma once
/// UTF-8 (RFC 3629) checked as it comes, in parts that may end inside a character.

#include <ferry/bytes.hpp>

#include <cstddef>
#include <cstdint>

namespace ferry {

/// Remembers nothing but where in a character the text so far ends. No table is looked up for ASCII.
///   accept --first byte of n--> n - 1 to come --...--> accept;   any --a byte that fits nothing here--> error, for
///   good
class utf8_validator {
 public:
  /// Goes on with `part`.
  /// @return how many of its bytes are good. Less than all: the byte at that index is the first that no UTF-8 text can
  ///         have there (too long a form, a surrogate, above U+10FFFF, stray or missing continuation), and every later
  ///         call returns 0 until reset()
  [[nodiscard]] std::size_t feed(bytes part) noexcept;

  /// No character is open: the text may end here. False after an error.
  [[nodiscard]] bool complete() const noexcept { return (state_ & 63) == k_accept; }
  /// Ready for another text.
  void reset() noexcept { state_ = k_accept; }

  static constexpr std::uint64_t k_error = 0;   ///< a state is where its six bits lie in a row of the table
  static constexpr std::uint64_t k_accept = 6;  ///< the state between two characters

 private:
  std::uint64_t state_ = k_accept;  // only the low six bits count
};

/// Whether all of it is UTF-8.
[[nodiscard]] inline bool is_utf8(bytes text) noexcept {
  utf8_validator check;
  return check.feed(text) == text.size() && check.complete();
}

}  // namespace ferry
