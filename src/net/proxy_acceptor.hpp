#pragma once
/// Connections that come through a balancer which says whose they are: the PROXY protocol, in front of everything else.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <memory>

namespace ferry::net {

/// What arrives at `from` must begin with a PROXY header, within connect_timeout, and come from an address in
/// proxy_from if that is set. The streams have the peer that the header names. A refused connection is an error of its
/// own: auth (not in proxy_from) | protocol | corrupt | truncated | timeout | reset.
/// @return `from` itself with proxy_protocol=off
[[nodiscard]] std::unique_ptr<acceptor> accept_proxied(context& where, std::unique_ptr<acceptor> from,
                                                       const options& with);

}  // namespace ferry::net
