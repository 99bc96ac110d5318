#pragma once
/// Where WebSocket connections arrive: on a listener of another stream, once their handshakes are over.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <memory>
#include <string>

#include "net/ws_stream.hpp"
#include "net/ws_upgrade.hpp"

namespace ferry::net {

struct ws_acceptor_settings {
  std::string url;  ///< what to connect to
  std::shared_ptr<const ws_rules> rules;
  std::shared_ptr<const ws_server_rules> taken;  ///< null: no handshake
  duration handshake_timeout{};                  ///< 0: no limit
};

/// Connections shake hands while others are accepted; at most k_most_guests at a time, of which the oldest is ended
/// for a new one, and each within the timeout. A failed one is an error of its own: auth | not_found | protocol |
/// timeout | reset, its text beginning with the peer's address; the peer has been answered.
[[nodiscard]] std::unique_ptr<acceptor> accept_ws(context& where, std::unique_ptr<acceptor> from,
                                                  ws_acceptor_settings with);

}  // namespace ferry::net
