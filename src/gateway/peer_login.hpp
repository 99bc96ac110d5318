#pragma once
/// How the stream of a server begins: the gateway's challenge and the answer to it; and a stream that is there already,
/// as what an attempt to connect gives.

#include <ferry/stream.hpp>

#include <cstdint>
#include <memory>
#include <string>

#include "session/server_login.hpp"

namespace ferry::gateway {

struct server_identity {
  std::uint32_t id = 0;
  std::string key;
  session::server_login::way how = session::server_login::way::md5;

  [[nodiscard]] session::server_login login() const { return {id, key, how}; }
  /// What it means that the gateway ended the connection right after our login. @param why  with what it ended
  [[nodiscard]] error wrong_key(const error& why) const;
};

/// For one login, from the system's generator.
[[nodiscard]] session::server_login::random_bytes fresh_random() noexcept;

/// Streams of `below` on which a server has logged in. A gateway answers a login by MD5 with nothing; what follows it
/// tells whether it was right. An attempt fails with what the stream breaks with | truncated: the gateway ended before
/// its challenge was whole | auth: by HMAC, it ended then, which says that our key is wrong, or has proved that its own
/// one is | protocol: it does not know HMAC.
[[nodiscard]] std::shared_ptr<stream_transport> logged_in(std::shared_ptr<stream_transport> below, server_identity who);

/// Gives `connected` to the first attempt; later ones fail with errc::closed.
[[nodiscard]] std::shared_ptr<stream_transport> once(std::shared_ptr<stream> connected);

}  // namespace ferry::gateway
