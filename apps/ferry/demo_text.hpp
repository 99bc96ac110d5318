#pragma once
/// The text whose lines the demo moves.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace ferry::app {

/// Writes a text of at least `size` bytes, made of text files found on this machine (licences, headers, documentation),
/// again and again if they are not enough.
/// @return errc::not_found (there is no text in the usual places) | the error of writing
[[nodiscard]] result<void> make_demo_text(const std::string& path, std::uint64_t size);

/// A checksum over messages: their bytes, their lengths and their order.
class demo_checksum {
 public:
  demo_checksum() noexcept = default;
  /// Goes on from what value() returned.
  explicit demo_checksum(std::uint64_t so_far) noexcept : value_(so_far) {}
  void add(bytes message) noexcept;
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

 private:
  void mix(std::uint64_t word) noexcept;
  std::uint64_t value_ = 0x9e3779b97f4a7c15;
};

/// A file seen as its lines; a last line without a newline counts. Movable; children of a fork may read it too.
class demo_text {
 public:
  /// @return the error of opening or mapping it | errc::misuse (no line, or one longer than `max_line` bytes)
  [[nodiscard]] static result<demo_text> open(const std::string& path, std::uint64_t max_line);
  demo_text(demo_text&& other) noexcept;
  ~demo_text();

  [[nodiscard]] std::uint64_t lines() const noexcept { return lines_; }
  [[nodiscard]] std::uint64_t bytes_with_newlines() const noexcept { return text_.size(); }
  /// Bytes of the longest one.
  [[nodiscard]] std::uint64_t longest() const noexcept { return longest_; }
  /// Over all lines.
  [[nodiscard]] std::uint64_t checksum() const noexcept { return checksum_; }

  /// Goes through the lines, from the first one.
  class cursor {
   public:
    explicit cursor(const demo_text& text) noexcept : rest_(text.text_) {}
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
    /// Not at the end. Without the newline; the same one until advance().
    [[nodiscard]] std::string_view line() const noexcept { return rest_.substr(0, rest_.find('\n')); }
    /// @param line what line() returned
    void advance(std::string_view line) noexcept { rest_.remove_prefix(std::min(line.size() + 1, rest_.size())); }

   private:
    std::string_view rest_;
  };

 private:
  explicit demo_text(std::string_view text) noexcept : text_(text) {}
  std::string_view text_;  // the mapping; empty once moved from
  std::uint64_t lines_ = 0;
  std::uint64_t longest_ = 0;
  std::uint64_t checksum_ = 0;
};

}  // namespace ferry::app
