#pragma once
/// What of our outgoing ring has gone over a stream, and what the peer has acknowledged: a consumer of our own ring
/// that reads twice, once to send and once behind the acknowledgements. Source: docs/sessions.md.
///
///     acknowledged --records on their way--> sent --records that wait--> end
///
/// An acknowledgement n says: I have consumed everything before number n, for good.

#include <ferry/error.hpp>

#include <string>

#include "ring/held_consumer.hpp"

namespace ferry::session {

template <class Stores = ring::direct_stores>
class basic_pump {
 public:
  /// At login: begins with what the peer does not have; everything before may be overwritten.
  /// @param data, line  our outgoing ring; outlive this @param ack  from the peer's login, of which login.hpp has
  /// checked start <= ack <= end @return corrupt: our records are damaged, or `ack` is not among them
  [[nodiscard]] result<void> start(std::span<const std::byte> data, ring_line& line, std::uint64_t ack) {
    if (const auto found = behind_.attach(data, line, ack); !found) return found.error();
    return ahead_.attach(data, line, ack);
  }

  /// The next record to send, or none. Valid until it is acknowledged.
  [[nodiscard]] ring_record front() noexcept { return ahead_.front(); }
  /// Its number.
  [[nodiscard]] std::uint64_t sent() const noexcept { return ahead_.mark().sequence; }
  /// The record that front() gave is on its way.
  void pop() noexcept { ahead_.pop(); }

  /// @return nothing: it counts, or is older than one that came before | protocol: it acknowledges what was never sent
  /// | corrupt: our records are damaged
  [[nodiscard]] result<void> on_acknowledgement(std::uint64_t n) {
    if (n > sent())
      return error(errc::protocol, "the peer acknowledges up to number " + std::to_string(n) +
                                       ", and only those before " + std::to_string(sent()) + " were sent");
    while (acknowledged() < n) {
      if (!behind_.front()) return error(errc::corrupt, "record " + std::to_string(acknowledged()) + " is damaged");
      behind_.pop();
    }
    behind_.publish(behind_.mark());
    return {};
  }
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return behind_.mark().sequence; }

  /// Our records are damaged.
  [[nodiscard]] bool corrupt() const noexcept { return ahead_.corrupt() || behind_.corrupt(); }
  /// For bells.
  [[nodiscard]] ring::held_consumer<Stores>& input() noexcept { return behind_; }

 private:
  ring::held_consumer<Stores> ahead_, behind_;
};

using pump = basic_pump<>;

}  // namespace ferry::session
