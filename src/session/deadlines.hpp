#pragma once
/// When a connection has taken too long. Keeps times and compares them; whoever owns the timer asks.

#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.hpp"

namespace ferry::session {

/// How long each may take; 0: for ever.
struct deadline_limits {
  duration connect{};     ///< from on_connecting() to on_up()
  duration write{};       ///< while data waits to be written: without a byte written
  duration read_idle{};   ///< without a byte read
  duration write_idle{};  ///< without a byte written, whether data waits or not
  duration idle{};        ///< with neither a byte read nor a byte written
  duration close{};       ///< from on_closing() to the end
  duration away{};        ///< from on_away() to on_up()
};

enum class deadline : std::uint8_t { connect, write, read_idle, write_idle, idle, close, away };

/// "connect", "write", "read idle", ...
[[nodiscard]] const char* to_string(deadline which) noexcept;

/// What counts when: connecting: connect. up: write, read_idle, write_idle, idle; of these only write once it is
/// closing. away: away. close: from on_closing() on, whatever the phase. Times given must not go back; those of
/// on_read() and on_write_done() do not matter where no idle limit is set. on_read() and on_write_progress() cost one
/// store; call them once per batch. The limits are the asker's: many connections have the same.
class deadlines {
 public:
  void on_connecting(time_point now) noexcept {
    phase_ = phase::connecting;
    began_ = now;
  }
  void on_up(time_point now) noexcept {
    phase_ = phase::up;
    last_read_ = last_write_ = now;
    pending_ = false;
  }
  /// Bytes came in.
  void on_read(time_point now) noexcept { last_read_ = now; }
  /// Bytes went out, and more wait or not.
  void on_write_progress(time_point now) noexcept { last_write_ = now; }
  /// Data waits that cannot be written now. May be called again while it waits: the first call counts.
  void on_write_pending(time_point now) noexcept {
    if (pending_) return;
    pending_ = true;
    pending_since_ = now;
  }
  /// All data was written.
  void on_write_done(time_point now) noexcept {
    last_write_ = now;
    pending_ = false;
  }
  /// The end has begun, in whatever phase; the first call counts, and the close deadline then runs whatever happens.
  /// @param within  instead of the limit `close`
  void on_closing(time_point now, std::optional<duration> within = {}) noexcept {
    if (within) close_within_ = *within;
    if (!std::exchange(closing_, true)) closing_since_ = now;
  }
  /// The connection is over; nothing but the close deadline expires until the next on_connecting() or on_up().
  void on_down() noexcept {
    phase_ = phase::down;
    pending_ = false;
  }

  /// The connection is over, and it is the peer who makes the next one.
  void on_away(time_point now) noexcept {
    on_down();
    phase_ = phase::away;
    began_ = now;
  }

  /// When check() should be called next; nothing if no deadline is set now. Later activity may move it, so a timer may
  /// sleep until then and ask again, instead of being set anew for every batch.
  [[nodiscard]] std::optional<time_point> next(const deadline_limits& limits) const noexcept;
  /// The deadline that passed first, if one has; the same again until something is done about it.
  [[nodiscard]] std::optional<deadline> check(const deadline_limits& limits, time_point now) const noexcept;

 private:
  enum class phase : std::uint8_t { down, connecting, up, away };
  struct expiry {
    time_point when;
    deadline which;
  };
  [[nodiscard]] std::optional<expiry> earliest(const deadline_limits& limits) const noexcept;

  time_point began_{};
  time_point closing_since_{};
  duration close_within_{-1};  // below 0: as the limits say
  time_point last_read_{};
  time_point last_write_{};
  time_point pending_since_{};
  phase phase_ = phase::down;
  bool pending_ = false;
  bool closing_ = false;
};

}  // namespace ferry::session
