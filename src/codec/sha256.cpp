#include "codec/sha256.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/endian.hpp"

namespace ferry::codec {
namespace {

constexpr std::size_t k_block = 64;

// FIPS 180-4, section 4.2.2.
constexpr std::array<std::uint32_t, 64> k_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

class summing {
 public:
  void add(bytes part) noexcept {
    total_ += part.size();
    while (!part.empty()) {
      const auto size = std::min(part.size(), k_block - used_);
      std::memcpy(block_.data() + used_, part.data(), size);
      used_ += size;
      part = part.subspan(size);
      if (used_ == k_block) mix();
    }
  }
  [[nodiscard]] sha256_digest finish() noexcept {
    const std::uint64_t bits = total_ * 8;
    block_[used_++] = std::byte{0x80};
    if (used_ > k_block - sizeof bits) {
      std::fill(block_.begin() + static_cast<std::ptrdiff_t>(used_), block_.end(), std::byte{0});
      mix();
    }
    std::fill(block_.begin() + static_cast<std::ptrdiff_t>(used_), block_.end(), std::byte{0});
    store_be(block_.data() + k_block - sizeof bits, bits);
    mix();
    sha256_digest made{};
    for (std::size_t i = 0; i < state_.size(); ++i) store_be(made.data() + 4 * i, state_[i]);
    return made;
  }

 private:
  // FIPS 180-4, section 6.2.2.
  void mix() noexcept {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i) w[i] = load_be<std::uint32_t>(block_.data() + 4 * i);
    for (std::size_t i = 16; i < w.size(); ++i) {
      const auto a = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const auto b = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    auto s = state_;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const auto e = std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25);
      const auto first = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k_constants[i] + w[i];
      const auto a = std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22);
      const auto second = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
      s = {first + second, s[0], s[1], s[2], s[3] + first, s[4], s[5], s[6]};
    }
    for (std::size_t i = 0; i < s.size(); ++i) state_[i] += s[i];
    used_ = 0;
  }

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, k_block> block_{};
  std::size_t used_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

sha256_digest sha256(std::initializer_list<bytes> parts) noexcept {
  summing sum;
  for (const bytes part : parts) sum.add(part);
  return sum.finish();
}

sha256_digest hmac_sha256(bytes key, std::initializer_list<bytes> parts) noexcept {
  std::array<std::byte, k_block> padded{};
  if (key.size() > k_block) {
    const auto shorter = sha256({key});
    std::copy(shorter.begin(), shorter.end(), padded.begin());
  } else {
    std::copy(key.begin(), key.end(), padded.begin());
  }
  summing inner, outer;
  for (auto& one : padded) one ^= std::byte{0x36};
  inner.add(padded);
  for (const bytes part : parts) inner.add(part);
  for (auto& one : padded) one ^= std::byte{0x36 ^ 0x5c};
  outer.add(padded);
  outer.add(inner.finish());
  return outer.finish();
}

}  // namespace ferry::codec
