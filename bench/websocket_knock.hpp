#pragma once
/// The asking end of a WebSocket with nothing but a socket: for loads that must not share code with what they measure.

#include <cstdint>
#include <string>

#include "bench/child.hpp"
#include "os/unique_fd.hpp"

namespace ferry::bench {

/// A connected TCP socket with TCP_NODELAY, blocking; the child fails if there is none.
[[nodiscard]] os::unique_fd connect_tcp(child& me, const std::string& host, std::uint16_t port);

/// Asks for a WebSocket without extensions, and fails the child unless it is granted. Source: RFC 6455, section 4.1.
/// @param authority  "127.0.0.1:5000" @param target  path and query
void knock(child& me, int fd, const std::string& authority, const std::string& target);

}  // namespace ferry::bench
