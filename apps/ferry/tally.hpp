#pragma once
/// What a command has done, added up over its channels, as a table for people.

#include <ferry/channel.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace ferry::app {

struct tally {
  std::uint64_t connections = 0;
  std::uint64_t refused = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;  ///< payload
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;  ///< payload
  std::uint64_t maybe_lost = 0;  ///< upper bound, in messages
  std::uint64_t never_sent = 0;  ///< messages that were accepted and not handed to the kernel
  std::uint64_t errors = 0;      ///< connections that did not end in order, and failed attempts to accept
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();

  /// The counts that a connection's end brings.
  void add(const down_info& end) noexcept;
  /// Both directions and the connections, in lines; rates over the time since `begin`.
  [[nodiscard]] std::string table(const std::string& received = "received", const std::string& sent = "sent") const;
};

/// True where a connection ended without anything broken: closed, or ended by the peer between two messages.
[[nodiscard]] bool in_order(const error& reason) noexcept;

/// "1 message", "2 messages".
[[nodiscard]] std::string counted(std::uint64_t n, const std::string& thing);

/// The text of why nobody can arrive at an address, and what to do about it.
[[nodiscard]] error with_advice(const error& why);
/// The text of why a channel could not be had, and what to do about it.
[[nodiscard]] error with_advice(const error& why, const std::string& url);
/// The same; a listener that is missing is named with the session that it has to have.
[[nodiscard]] error with_advice(const error& why, const channel& missing);

}  // namespace ferry::app
