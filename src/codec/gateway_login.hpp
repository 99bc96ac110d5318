#pragma once
/// The better of the two ways in which a server proves to a gateway that it knows the key, and the gateway to it: with
/// HMAC-SHA-256, and numbers by chance of both. Source: docs/gateway.md. Integers are little endian.
///
///     gateway   8 random bytes, as before the other way (gateway_packet.hpp)
///     server    "FERRY-LOGIN-0002", u32 server, 16 random bytes, HMAC(key, "server", challenge, random, server)
///     gateway   a packet: connection 0, type 6, HMAC(key, "gateway", challenge, random, server)
///
/// A server that knows the other way only begins with an MD5, which is these 16 letters by chance once in 2^128.

#include <ferry/bytes.hpp>

#include <array>
#include <cstdint>
#include <string_view>

#include "codec/gateway_packet.hpp"
#include "codec/sha256.hpp"

namespace ferry::codec::gateway {

inline constexpr std::string_view k_login_mark = "FERRY-LOGIN-0002";
inline constexpr std::size_t k_hmac_login_bytes = 16 + 4 + 16 + 32;
inline constexpr std::byte k_welcome_type{6};

struct hmac_login {
  std::uint32_t server = 0;
  std::array<std::byte, 16> random{};
  sha256_digest proven{};
};

/// What proves that an end knows the key. @param by  "server" or "gateway"
[[nodiscard]] sha256_digest prove_hmac(std::string_view by, const challenge& asked, const hmac_login& login,
                                       std::string_view key) noexcept;
[[nodiscard]] std::array<std::byte, k_hmac_login_bytes> encode(const hmac_login& login) noexcept;
/// Whether a login begins like this; of fewer than 16 bytes: false.
[[nodiscard]] bool is_hmac_login(bytes in) noexcept;
/// @param in  k_hmac_login_bytes at least
[[nodiscard]] hmac_login decode_hmac_login(bytes in) noexcept;
/// The gateway's packet.
[[nodiscard]] std::array<std::byte, k_header_bytes + 1 + 32> encode_welcome(const sha256_digest& proven) noexcept;

}  // namespace ferry::codec::gateway
