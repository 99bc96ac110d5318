#pragma once
/// Where TLS connections arrive: on a listener of another stream, once their handshakes are over.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <memory>

namespace ferry::net {

/// Connections shake hands while others are accepted; at most k_most_guests (guests.hpp) at a time, of which the oldest
/// is ended for a new one, and each within connect_timeout. A failed one is an error of its own: auth (certificates) |
/// protocol | unsupported | corrupt | timeout | reset, its text beginning with the peer's address. Certificates that
/// have changed on the disk are read again when the next connection arrives; if they cannot be used, the old ones
/// remain.
/// @param scheme  of the new one's URL, which is else that of `from`
/// @return as tls_context::make
[[nodiscard]] result<std::unique_ptr<acceptor>> accept_tls(context& where, const std::string& scheme,
                                                           std::unique_ptr<acceptor> from, const options& with);

}  // namespace ferry::net
