#pragma once
/// The states of a socket, and what leads from one to the next.
///
///   init --bind--> bound --listen--> listening
///   init --connect--> connecting            init --accept--> handshaking | open        (the socket that was accepted)
///   connecting --handshake--> handshaking   connecting | handshaking --up--> open
///   connecting | handshaking --end, fail--> closed
///   open --end (here, or the peer's), fail--> closing --over--> closed
///   closed --retry--> reconnecting --again--> connecting
///   any --drop--> closed
///
/// Source: docs/socket-api.md. Pure.

#include <ferry/socket.hpp>

#include <cstdint>
#include <optional>

namespace ferry::sockets {

enum class socket_event : std::uint8_t {
  bind,
  listen,
  connect,
  accept,     ///< this socket was accepted
  handshake,  ///< what carries the bytes is there, a handshake begins
  up,
  end,    ///< one side has ended in order
  fail,   ///< the attempt failed, or the connection broke
  over,   ///< both sides have ended, or the time for it is over
  retry,  ///< another attempt is due
  again,  ///< it begins
  drop,   ///< closed by the caller where nothing is to be waited for
};

/// Where `what` leads from `from`; nothing if it cannot happen there.
[[nodiscard]] std::optional<socket_state> after(socket_state from, socket_event what) noexcept;

}  // namespace ferry::sockets
