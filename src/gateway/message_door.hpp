#pragma once
/// Where members arrive whose transport carries messages (ws, wss, shm) instead of bytes: one packet is one binary
/// message, without its length. Source: docs/gateway.md.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>
#include <ferry/url.hpp>

#include <memory>

namespace ferry::gateway {

/// Streams of packets over the channels that arrive at a listener: what they give has the lengths again, and what is
/// written to them are whole packets. A message that is a text, or too short for a packet, breaks such a stream:
/// protocol.
/// @param greets  servers: the first message of each end is its part of the login, as it is
/// @return as of listener::open
[[nodiscard]] result<std::unique_ptr<acceptor>> listen_for_messages(context& where, const endpoint& at,
                                                                    const options& with, bool greets);

}  // namespace ferry::gateway
