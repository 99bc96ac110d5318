#pragma once
/// How the stream of a server begins: the gateway's challenge and the answer to it; and a stream that is there already,
/// as what an attempt to connect gives.

#include <ferry/stream.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace ferry::gateway {

struct server_identity {
  std::uint32_t id = 0;
  std::string key;
};

/// Streams of `below` on which a server has logged in. A gateway answers a login with nothing; what follows it tells
/// whether it was right. An attempt fails with what the stream breaks with | truncated: the gateway ended before its
/// challenge was whole.
[[nodiscard]] std::shared_ptr<stream_transport> logged_in(std::shared_ptr<stream_transport> below, server_identity who);

/// Gives `connected` to the first attempt; later ones fail with errc::closed.
[[nodiscard]] std::shared_ptr<stream_transport> once(std::shared_ptr<stream> connected);

}  // namespace ferry::gateway
