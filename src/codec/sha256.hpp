#pragma once
/// SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104), for proofs in protocols that have no TLS library below them.

#include <ferry/bytes.hpp>

#include <array>
#include <initializer_list>

namespace ferry::codec {

using sha256_digest = std::array<std::byte, 32>;

/// Of the parts behind each other.
[[nodiscard]] sha256_digest sha256(std::initializer_list<bytes> parts) noexcept;

/// @param key  of any length; should be as hard to guess as the digest is long
[[nodiscard]] sha256_digest hmac_sha256(bytes key, std::initializer_list<bytes> parts) noexcept;

}  // namespace ferry::codec
