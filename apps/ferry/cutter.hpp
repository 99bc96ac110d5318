#pragma once
/// Cuts a flow of bytes into messages.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry::app {

/// How bytes become messages.
struct split_rule {
  enum class kind { lines, whole, chunks };
  kind how = kind::lines;
  std::size_t chunk = 0;  ///< bytes per message, with chunks

  /// @param text "lines", "whole", or a size ("4096", "64KiB") @return nothing if it is none of them
  [[nodiscard]] static std::optional<split_rule> parse(std::string_view text);
};

/// lines: a message is a line without its newline; a last line without a newline is a message too. whole: everything is
/// one message, also if there is nothing. chunks: every `chunk` bytes, the last one what is left.
/// Holds at most one message and one block of input. One thread uses it.
class cutter {
 public:
  cutter(split_rule rule, std::size_t max_message);

  /// Where the next bytes of input go; never empty. Views of earlier messages end.
  [[nodiscard]] mutable_bytes room();
  void filled(std::size_t n) noexcept { end_ += n; }
  /// There is no more input.
  void finish() noexcept { finished_ = true; }

  /// The next message, valid until room(). Nothing: more input is needed, or done() is true.
  /// @return errc::message_too_large, with which message it was and the limit
  [[nodiscard]] result<std::optional<bytes>> next();
  /// How many bytes of input the message that was handed out last took besides its own: 1 for its newline, or 0.
  [[nodiscard]] std::size_t skipped() const noexcept { return skipped_; }
  /// All messages were handed out.
  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  static constexpr std::size_t k_block = 1u << 20;

  [[nodiscard]] bytes pending() const noexcept { return {buffer_.data() + begin_, end_ - begin_}; }
  [[nodiscard]] std::optional<bytes> take(std::size_t size, std::size_t skip) noexcept;
  [[nodiscard]] result<std::optional<bytes>> last();
  [[nodiscard]] error too_large() const;

  split_rule rule_;
  std::size_t max_message_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t searched_ = 0;  // of what is pending, without a newline
  std::size_t skipped_ = 0;
  std::uint64_t messages_ = 0;
  bool finished_ = false;
  bool done_ = false;
};

}  // namespace ferry::app
