#pragma once
/// From options and URLs to what WebSocket connections need.

#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <memory>
#include <string>
#include <vector>

#include "net/ws_stream.hpp"
#include "net/ws_upgrade.hpp"

namespace ferry::net {

/// @param raw  without an upgrade: the option ws_mask counts
[[nodiscard]] ws_rules ws_rules_of(ws_home home, const options& with, codec::websocket_role role, bool raw);

/// What a listener takes, and what a connecting end asks for.
[[nodiscard]] ws_server_rules ws_server_rules_of(const endpoint& at, const options& with);
[[nodiscard]] ws_client_wishes ws_client_wishes_of(const endpoint& to, const options& with);

/// The path and the query of the resource that a URL names, as a request says it: "/chat?room=1".
[[nodiscard]] std::string ws_target(const endpoint& of);

/// The handshake of each role, for a ws_stream.
[[nodiscard]] std::unique_ptr<ws_handshake> ws_server_handshake(std::shared_ptr<const ws_server_rules> rules,
                                                                std::string address);
[[nodiscard]] std::unique_ptr<ws_handshake> ws_client_handshake(ws_client_wishes wishes);

}  // namespace ferry::net
