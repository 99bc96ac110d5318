#include "codec/snet_cipher.hpp"

#include <numeric>
#include <utility>

#include "base/endian.hpp"

namespace ferry::codec::snet {
namespace {

__extension__ using wide = unsigned __int128;

std::uint64_t times(std::uint64_t a, std::uint64_t b) noexcept {
  return static_cast<std::uint64_t>(wide{a} * b % k_prime);
}

// The same steps whatever the exponent.
std::uint64_t power(std::uint64_t base, std::uint64_t exponent) noexcept {
  std::uint64_t made = 1;
  for (int bit = 63; bit >= 0; --bit) {
    made = times(made, made);
    const std::uint64_t more = times(made, base);
    made = (exponent >> bit & 1) != 0 ? more : made;
  }
  return made;
}

}  // namespace

std::uint64_t public_key(std::uint64_t private_key) noexcept { return power(k_generator, private_key); }

result<shared_key> agree(std::uint64_t private_key, std::uint64_t peers_public_key) {
  if (!is_usable(peers_public_key))
    return error(errc::protocol, "a public key that makes the secret known: " + std::to_string(peers_public_key));
  shared_key made{};
  store_le(made.data(), power(peers_public_key, private_key));
  return made;
}

rc4::rc4(const shared_key& key) noexcept {
  std::iota(box_.begin(), box_.end(), std::uint8_t{0});
  std::uint8_t j = 0;
  for (std::size_t i = 0; i < box_.size(); ++i) {
    j = static_cast<std::uint8_t>(j + box_[i] + std::to_integer<unsigned>(key[i % key.size()]));
    std::swap(box_[i], box_[j]);
  }
}

std::uint8_t rc4::next() noexcept {
  i_ = static_cast<std::uint8_t>(i_ + 1);
  j_ = static_cast<std::uint8_t>(j_ + box_[i_]);
  std::swap(box_[i_], box_[j_]);
  return box_[static_cast<std::uint8_t>(box_[i_] + box_[j_])];
}

void rc4::apply(bytes in, mutable_bytes out) noexcept {
  for (std::size_t at = 0; at < in.size(); ++at) out[at] = in[at] ^ std::byte{next()};
}

void rc4::skip(std::size_t count) noexcept {
  while (count-- > 0) (void)next();
}

}  // namespace ferry::codec::snet
