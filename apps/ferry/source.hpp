#pragma once
/// Where the messages to be sent come from.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/ferry/cutter.hpp"
#include "apps/ferry/input.hpp"

namespace ferry::app {

/// What a source has to offer right now.
struct offer {
  enum class state { message, wait, end };
  state what = state::end;
  message_view message;  ///< valid until the source is asked again
};

/// Messages, one after the other.
class source {
 public:
  virtual ~source() = default;
  /// The next message; wait: ask again after async_wait; end: there are no more.
  /// @return an error of reading, or of a message that is too large; it ends the source
  [[nodiscard]] virtual result<offer> next() = 0;
  /// Calls `ready` from the event loop when next() has something to say, unless the source goes first.
  virtual void async_wait(std::function<void()> ready) = 0;
  /// How many bytes of the source were used, and how many there are (0: not known); for a progress bar.
  [[nodiscard]] virtual std::uint64_t bytes_done() const noexcept = 0;
  [[nodiscard]] virtual std::uint64_t bytes_in_all() const noexcept = 0;
};

/// The given texts, each as a text message.
[[nodiscard]] std::unique_ptr<source> make_text_source(std::vector<std::string> texts);
/// `count` messages of `size` bytes: their number from 0 on in decimal, then letters.
[[nodiscard]] std::unique_ptr<source> make_generated_source(std::uint64_t count, std::size_t size);
/// What `from` holds, cut as `rule` says; lines are text messages, all else is binary.
[[nodiscard]] std::unique_ptr<source> make_input_source(std::unique_ptr<input> from, split_rule rule,
                                                        std::size_t max_message);
/// One after the other.
[[nodiscard]] std::unique_ptr<source> make_chain(std::vector<std::unique_ptr<source>> parts);

}  // namespace ferry::app
