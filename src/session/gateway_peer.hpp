#pragma once
/// What a client or a server of a gateway has to keep in mind: dials that wait for an answer, virtual connections,
/// pings. Without its socket: packets in, events and commands out. Source: docs/gateway.md.
///
///     dial   waiting --Accept--> a virtual connection
///            waiting --Refuse, its time is over, the end of everything--> over
///            over by time, given up --Accept--> closed again at once
///
/// Not for more than one thread.

#include <ferry/error.hpp>

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/time.hpp"
#include "codec/gateway_packet.hpp"
#include "session/heartbeat.hpp"

namespace ferry::session {

struct gateway_peer_options {
  std::uint32_t max_packet = 512 * 1024;             ///< as at the gateway
  std::uint32_t max_connections = 1 << 20;           ///< virtual ones; above: whoever dials is closed at once
  std::uint32_t max_dials = 1024;                    ///< that wait for an answer; above: busy
  duration dial_timeout = std::chrono::seconds(10);  ///< 0: for ever
  duration ping_interval{};  ///< without anything sent; must be below the gateway's idle time; 0: none
  duration ping_timeout{};   ///< how long the answer to a ping may take; 0: as long as an interval
};

/// What came about.
struct gateway_event {
  enum class type : std::uint8_t {
    none,
    accepted,        ///< `dial` has become `connection`
    refused,         ///< `dial`: nobody has that ID, or a limit is reached
    dial_timed_out,  ///< `dial`: no answer in time; one that comes later is closed
    connected,       ///< `remote` has dialled us: `connection`
    closed,          ///< `connection`, by the other end or the gateway
    message,         ///< on `connection`
    ping_timed_out,  ///< the gateway does not answer: give the physical connection up; told once
  };
  type what = type::none;
  std::uint64_t dial = 0;
  std::uint32_t connection = 0;
  std::uint32_t remote = 0;
  bytes message;  ///< of `connected`: what the gateway tells besides; valid as long as the packet
};

/// Takes the commands that go to the gateway.
class gateway_peer_output {
 public:
  virtual void send(const codec::gateway::command& what) = 0;

 protected:
  ~gateway_peer_output() = default;
};

class gateway_peer {
 public:
  explicit gateway_peer(const gateway_peer_options& options = {}) noexcept;

  /// The physical connection is there: pings begin.
  void on_up(time_point now) noexcept { pings_.on_up(now); }
  /// Asks for a virtual connection. @return its number as a dial, for the event that follows | busy: max_dials wait
  [[nodiscard]] result<std::uint64_t> dial(std::uint32_t remote, time_point now, gateway_peer_output& out);
  /// A dial that nobody waits for any more: no event follows, and a virtual connection that it becomes is closed.
  void give_up(std::uint64_t dial) noexcept;
  /// Ends a virtual connection; no event follows. @return closed: there is none of that number
  [[nodiscard]] result<void> close(std::uint32_t connection, time_point now, gateway_peer_output& out);
  /// Whether a message may be sent, which is then a packet with `connection`. Call it once for each.
  /// @return closed: there is no such virtual connection | message_too_large: with the limit
  [[nodiscard]] result<void> may_send(std::uint32_t connection, std::size_t message_bytes, time_point now);

  /// @return what a packet of the gateway has brought about | protocol: the gateway breaks it
  [[nodiscard]] result<gateway_event> on_packet(const codec::gateway::packet& what, time_point now,
                                                gateway_peer_output& out);
  /// To be called at next(), until it says `none`.
  [[nodiscard]] gateway_event on_time(time_point now, gateway_peer_output& out);
  [[nodiscard]] std::optional<time_point> next() const noexcept;
  /// The physical connection is over: dials and virtual connections too, one at a time, until it says `none`; of a
  /// dial it says `refused`, of a virtual connection `closed`.
  [[nodiscard]] gateway_event on_lost();

  [[nodiscard]] std::size_t connections() const noexcept { return remotes_.size(); }
  [[nodiscard]] std::size_t dials() const noexcept { return waiting_; }
  /// From the last ping to its answer.
  [[nodiscard]] std::optional<duration> round_trip() const noexcept { return pings_.round_trip(); }

 private:
  struct waiting_dial {
    std::uint64_t number = 0;
    std::uint32_t remote = 0;
    time_point until{};
    bool over = false;  // its time was over, or it was given up
  };
  result<gateway_event> on_command(const codec::gateway::command& what, bytes more, time_point now,
                                   gateway_peer_output& out);
  result<gateway_event> on_answer(const codec::gateway::command& what, time_point now, gateway_peer_output& out);
  void say(const codec::gateway::command& what, time_point now, gateway_peer_output& out);
  [[nodiscard]] bool has(std::uint32_t connection) const noexcept { return remotes_.contains(connection); }

  gateway_peer_options options_;
  heartbeat pings_;
  std::deque<waiting_dial> dials_;  // in the order in which they were sent, which is that of their times
  std::size_t waiting_ = 0;         // of them, those whose time is not over
  std::uint64_t last_dial_ = 0;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> remotes_;  // of virtual connections
};

}  // namespace ferry::session
