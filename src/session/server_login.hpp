#pragma once
/// How a server logs in at a gateway, its side, either way. Without a socket: parts in, parts out. Source:
/// docs/gateway.md.
///
///     asked --challenge; md5--> done
///     asked --challenge; hmac--> proving --the gateway's proof--> done
///
/// Where a stream carries the parts, or messages do, is the caller's business, and so is the time that it may take.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "codec/gateway_login.hpp"

namespace ferry::session {

class server_login {
 public:
  enum class way : std::uint8_t {
    md5,   ///< the original's; the gateway proves nothing
    hmac,  ///< HMAC-SHA-256, and the gateway proves that it knows the key too
  };
  using random_bytes = std::array<std::byte, 16>;
  /// The gateway's proof: a packet without its length.
  static constexpr std::size_t k_proof_bytes = 4 + 1 + 32;

  server_login() noexcept = default;
  server_login(std::uint32_t id, std::string_view key, way how) : id_(id), key_(key), way_(how) {}

  /// What to say to the gateway's challenge. @param random  from the system's generator
  /// @return valid until the next call
  [[nodiscard]] bytes answer(const codec::gateway::challenge& asked, const random_bytes& random);
  /// The gateway's proof is awaited; nothing else may be said before.
  [[nodiscard]] bool is_proving() const noexcept { return state_ == state::proving; }
  /// @param packet  the first one of the gateway, without its length @return auth: it does not know the key | protocol:
  /// it is no such proof
  [[nodiscard]] result<void> on_proof(bytes packet);

 private:
  enum class state : std::uint8_t { asked, proving, done };

  std::uint32_t id_ = 0;
  std::string key_;
  way way_ = way::md5;
  state state_ = state::asked;
  std::array<std::byte, codec::gateway::k_hmac_login_bytes> said_{};
  codec::sha256_digest expected_{};
};

}  // namespace ferry::session
