#pragma once
/// What resumable streams of the compatible kind reckon with: Diffie-Hellman over 64 bits, and RC4. Both are broken:
/// they hide bytes from nobody who tries, and are here for peers that speak nothing else. Source: docs/gateway.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>

namespace ferry::codec::snet {

inline constexpr std::uint64_t k_prime = 0xffffffffffffffc5u;
inline constexpr std::uint64_t k_generator = 5;

/// The secret that both sides have, as 8 bytes, little endian.
using shared_key = std::array<std::byte, 8>;

/// k_generator to the power of a number by chance, which should come from the system's generator.
[[nodiscard]] std::uint64_t public_key(std::uint64_t private_key) noexcept;
/// Whether a peer's key may be reckoned with: 0, 1, p - 1 and what is not below p make the secret known to anybody.
[[nodiscard]] constexpr bool is_usable(std::uint64_t peers_public_key) noexcept {
  return peers_public_key > 1 && peers_public_key < k_prime - 1;
}
/// @return protocol: the key of the peer is not usable
[[nodiscard]] result<shared_key> agree(std::uint64_t private_key, std::uint64_t peers_public_key);

/// One direction's stream of RC4.
class rc4 {
 public:
  explicit rc4(const shared_key& key) noexcept;
  /// Enciphers or deciphers; in place where both are the same. @param out  as long as `in` at least
  void apply(bytes in, mutable_bytes out) noexcept;
  /// As if that many bytes had gone through.
  void skip(std::size_t count) noexcept;

 private:
  [[nodiscard]] std::uint8_t next() noexcept;
  std::array<std::uint8_t, 256> box_{};
  std::uint8_t i_ = 0, j_ = 0;
};

}  // namespace ferry::codec::snet
