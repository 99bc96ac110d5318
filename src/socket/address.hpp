#pragma once
/// Addresses of sockets, and endpoints of channels.

#include <ferry/socket.hpp>
#include <ferry/url.hpp>

#include <span>
#include <string>

namespace ferry::sockets {

/// "tcp", "ws+raw"; null if there is no such transport.
[[nodiscard]] const char* scheme_of(socket_transport transport) noexcept;
/// Whether a handshake follows once the bytes can flow.
[[nodiscard]] bool has_handshake(socket_transport transport) noexcept;
/// Whether its addresses are host and port.
[[nodiscard]] bool has_hosts(socket_transport transport) noexcept;
[[nodiscard]] bool is_websocket(socket_transport transport) noexcept;

/// @param known  the schemes that there are here
/// @return bad_address with what does not fit | unsupported: no such transport here
[[nodiscard]] result<endpoint> endpoint_of(socket_transport transport, const socket_address& address,
                                           std::span<const std::string> known);
/// From "127.0.0.1:80", "[::1]:80", "/run/a.sock", "@name", a name, or nothing.
[[nodiscard]] socket_address address_of(socket_transport transport, std::string_view text);
/// From the URL of a listener.
[[nodiscard]] result<socket_address> address_of_url(socket_transport transport, std::string_view url,
                                                    std::span<const std::string> known);

}  // namespace ferry::sockets
