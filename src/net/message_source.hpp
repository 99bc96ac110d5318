#pragma once
/// Streams that know messages themselves hand them on where they lie.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <cstddef>

namespace ferry::net {

/// Who gets the messages.
class message_taker {
 public:
  /// @param m  valid during the call, whatever is done to the stream meanwhile @return false: not taken; it comes again
  [[nodiscard]] virtual bool take(const message_view& m) = 0;

 protected:
  ~message_taker() = default;
};

/// What some streams can besides: messages without a framing of ours around them, and without a copy. Found by
/// dynamic_cast. Who reads in this way does not use try_read and async_read, and waits as bare_wait says; that can
/// always be done here.
class message_source {
 public:
  /// One read. Never blocks. Not before take() was called for what came earlier.
  /// @return bytes that have come since the last call, also while somebody waited | would_block | end_of_stream | why
  ///         the stream broke
  [[nodiscard]] virtual result<std::size_t> fill() = 0;
  /// Whether take() has nothing to hand on or to tell.
  [[nodiscard]] virtual bool empty() const noexcept = 0;
  /// Hands on what is there, message by message, up to the first one that is not taken.
  /// @return end_of_stream, or why the stream broke, if nothing comes any more; never in a call that has handed on
  ///         something, so that answers to it go out before: there it is why keep_answer()'s could not be sent
  [[nodiscard]] virtual result<void> take(message_taker& to) = 0;
  /// Inside take(), which sends the message before it returns, or before what is written until then: for who has
  /// nothing else to say to what is handed on. Only where it is small and nothing waits before it; else it goes through
  /// try_write.
  /// @param m  whole, and text is UTF-8 @return bytes in parts framing that are taken, all of them; 0: none
  [[nodiscard]] virtual std::size_t keep_answer(const message_view& m) noexcept = 0;

 protected:
  ~message_source() = default;
};

}  // namespace ferry::net
