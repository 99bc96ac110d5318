#pragma once
/// Finds out that a silent peer is gone, by asking it. Says when to ask; what a question and an answer look like is the
/// protocol's.

#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace ferry::session {

struct heartbeat_options {
  duration interval{};           ///< a question is sent when nothing was sent for this long; 0: no heartbeat
  std::uint32_t max_misses = 3;  ///< the peer is dead after this many questions without an answer in a row; at least 1
  duration timeout{};            ///< how long an answer may take; 0: an interval
};

enum class heartbeat_action : std::uint8_t {
  none,
  ask,   ///< send a question; it counts as sent already
  dead,  ///< the peer did not answer; said once
};

///   off --on_up--> quiet --nothing sent for an interval, ask_now: ask--> asked --answer--> quiet
///                                                               asked --an interval without a sign: a miss, ask-->
///                                                               asked asked --the last allowed miss--> dead
///   any --on_down--> off
/// A sign is anything that the peer sent: it ends a row of misses, but only an answer ends the waiting for one.
class heartbeat {
 public:
  explicit heartbeat(const heartbeat_options& options = {}) noexcept;

  void on_up(time_point now) noexcept;
  void on_down() noexcept { enter(state::off); }
  /// Something was sent, a question or anything else.
  void on_sent(time_point now) noexcept { last_sent_ = now; }
  /// Something came that is not an answer.
  void on_received(time_point now) noexcept {
    last_sign_ = now;
    misses_ = 0;
  }
  void on_answer(time_point now) noexcept;
  /// When anything came last, an answer or not.
  [[nodiscard]] time_point last_sign() const noexcept { return last_sign_; }
  /// Asks before it is time, without an interval too. @return false: off, dead, or a question is open already
  [[nodiscard]] bool ask_now(time_point now) noexcept;

  /// To be called at next(), or whenever; says what to do now.
  [[nodiscard]] heartbeat_action on_timer(time_point now) noexcept;
  /// When on_timer() should be called; nothing while off or dead. Activity may move it to later.
  [[nodiscard]] std::optional<time_point> next() const noexcept;

  /// Intervals without an answer, in a row.
  [[nodiscard]] std::uint32_t misses() const noexcept { return misses_; }
  /// A question is open.
  [[nodiscard]] bool asking() const noexcept { return state_ == state::asked; }
  /// From the last question to its answer. An answer that came after a miss tells nothing, as it may belong to the
  /// question before (Karn's rule).
  [[nodiscard]] std::optional<duration> round_trip() const noexcept {
    return round_trip_ >= duration::zero() ? std::optional(round_trip_) : std::nullopt;
  }

 private:
  enum class state : std::uint8_t { off, quiet, asked, dead };
  void enter(state next) noexcept { state_ = next; }
  void ask(time_point now) noexcept;
  [[nodiscard]] heartbeat_action miss(time_point now) noexcept;

  // One for each connection, most of which are idle: small.
  duration interval_;
  duration timeout_;
  std::uint32_t max_misses_;
  state state_ = state::off;
  std::uint32_t misses_ = 0;
  std::uint32_t questions_ = 0;  // sent since the last answer
  time_point last_sent_{};
  time_point last_sign_{};
  time_point asked_{};
  duration round_trip_{-1};  // below 0: not known
};

}  // namespace ferry::session
