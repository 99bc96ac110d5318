#pragma once
/// The message that is being sent in parts, where a transport carries those.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <utility>

#include "base/utf8_validator.hpp"

namespace ferry::detail {

///   between --a part with more--> inside --a part with more--> inside --the last part--> between
///   inside --the connection went with its beginning--> lost --the next part: refused--> between
class parts_sender {
 public:
  /// Whether `m` may pass as it is, without place() and sent(): bytes that are no part of anything.
  [[nodiscard]] bool lets_pass(const message_view& m) const noexcept {
    return state_ == state::between && m.whole() && m.kind == message_kind::binary;
  }
  /// Gives a part its place, and looks whether a text is one so far. Nothing changes before sent().
  /// @return reset: the beginning is lost, so this part is worth nothing; the next one begins a message | misuse: not
  ///         UTF-8
  [[nodiscard]] result<void> place(message_view& m) {
    if (state_ == state::lost) {
      state_ = state::between;
      return error(errc::reset, "the beginning of this message went with a lost connection: begin it again");
    }
    m.first = state_ == state::between;
    if (!m.first) m.kind = kind_;
    after_ = m.first ? utf8_validator() : text_;
    if (m.kind != message_kind::text) return {};
    if (after_.feed(m.payload) == m.payload.size() && (m.more || after_.complete())) return {};
    return error(errc::misuse, "a text message must be UTF-8; send other bytes as binary");
  }
  /// The part that was placed last is queued.
  void sent(const message_view& m) noexcept {
    text_ = after_;
    kind_ = m.kind;
    state_ = m.more ? state::inside : state::between;
  }
  /// What was queued of the message is gone.
  void lose() noexcept {
    if (state_ == state::inside) state_ = state::lost;
  }
  [[nodiscard]] bool inside() const noexcept { return state_ == state::inside; }

 private:
  enum class state : std::uint8_t { between, inside, lost };
  utf8_validator text_, after_;
  message_kind kind_ = message_kind::binary;
  state state_ = state::between;
};

}  // namespace ferry::detail
