#pragma once
/// The life of a channel's link: connecting, being up, waiting to try again, closing. Decides; does nothing itself.

#include <cstdint>

#include "base/time.hpp"
#include "session/backoff.hpp"

namespace ferry::session {

enum class link_state : std::uint8_t { idle, connecting, up, waiting, closing, closed };

enum class link_event : std::uint8_t {
  open,                    ///< the owner wants a connection
  connected,               ///< the attempt succeeded; or a listener hands over an accepted connection
  failed,                  ///< the attempt failed
  lost,                    ///< the connection ended, in order or not, without our wish
  retry_due,               ///< the delay of a `wait` is over
  close,                   ///< the owner wants to end: what is queued is still sent
  drained_and_peer_ended,  ///< all is sent, and the peer has ended its side too
  deadline,                ///< one of the deadlines of the present state passed
};

/// What the owner must do now. Each `report_up` is followed by exactly one `report_down_...`; the end of a link is
/// reported exactly once, by `report_down_and_close` or `report_closed`.
enum class link_do : std::uint8_t {
  nothing,
  connect,                ///< start an attempt
  wait,                   ///< nothing was up; come back with retry_due after the delay
  report_up,              ///< tell that the connection is there, then use it
  drain,                  ///< send what is queued, end our side, wait for the peer's end
  report_down_and_wait,   ///< drop the connection, tell why, come back with retry_due after the delay
  report_down_and_close,  ///< drop the connection, tell why, and that the link is closed
  report_closed,          ///< stop what is under way, attempt or delay; tell that the link is closed, and why
};

struct link_action {
  link_do what = link_do::nothing;
  duration delay{};  ///< for `wait` and `report_down_and_wait`

  friend bool operator==(const link_action&, const link_action&) = default;
};

struct link_options {
  bool reconnect = false;  ///< off: the first failure or loss closes the link
  backoff_policy backoff;
};

/// What a link needs to know about the instant of an event.
struct link_moment {
  time_point now;
  double random = 0.5;  ///< uniform in [0, 1), for the delay
  bool heard = false;   ///< with `lost` or `deadline`: whether anything was received or confirmed on the connection
};

///            open                connected                 close
///   idle -----------> connecting -----------> up ---------------------> closing
///     |                 ^    | failed,         | lost, deadline            | drained_and_peer_ended,
///     | connected       |    | deadline        |                           | lost, deadline
///     +-----> up        |    v                 v                           v
///             retry_due +-- waiting <----------+                         closed
///
///   connecting, up --no reconnect, or attempts used up--> closed      idle, connecting, waiting --close--> closed
///
/// An event that means nothing in a state, such as one that was under way when the state changed, changes nothing.
class link {
 public:
  explicit link(const link_options& options = {}) noexcept : reconnect_(options.reconnect), backoff_(options.backoff) {}

  [[nodiscard]] link_action on(link_event event, const link_moment& moment) noexcept;

  [[nodiscard]] link_state state() const noexcept { return state_; }
  /// Delays given since a connection proved itself.
  [[nodiscard]] std::uint32_t attempts() const noexcept { return backoff_.attempts(); }

 private:
  link_action enter(link_state next, link_do what, duration delay = {}) noexcept;
  link_action come_up(time_point now) noexcept;
  link_action go_down(const link_moment& moment) noexcept;
  link_action retry(double random, link_do wait, link_do give_up) noexcept;

  bool reconnect_;
  backoff backoff_;
  link_state state_ = link_state::idle;
};

/// "idle", "connecting", ...
[[nodiscard]] const char* to_string(link_state state) noexcept;

}  // namespace ferry::session
