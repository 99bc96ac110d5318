#include "codec/websocket_mask.hpp"

#include <bit>
#include <cstring>

namespace ferry::codec {
namespace {

// A register of SSE2 or NEON; elsewhere the compiler makes two words of it.
using block = std::uint64_t __attribute__((vector_size(16)));

template <class T>
inline void mask_one(std::byte* at, T key) noexcept {
  T data;
  std::memcpy(&data, at, sizeof data);
  data ^= key;
  std::memcpy(at, &data, sizeof data);
}

/// The key as it meets the bytes from `offset` on, in memory's order.
inline std::uint32_t turned(const websocket_mask_key& key, std::uint64_t offset) noexcept {
  std::uint32_t word;
  std::memcpy(&word, key.data(), sizeof word);
  const int bits = static_cast<int>(offset % key.size()) * 8;
  return std::endian::native == std::endian::little ? std::rotr(word, bits) : std::rotl(word, bits);
}

}  // namespace

void apply_websocket_mask(mutable_bytes data, const websocket_mask_key& key, std::uint64_t offset) noexcept {
  std::byte* at = data.data();
  std::byte* const end = at + data.size();
  const auto left = [&] { return static_cast<std::size_t>(end - at); };
  const std::uint32_t four = turned(key, offset);
  const std::uint64_t eight = std::uint64_t{four} << 32 | four;
  const block sixteen{eight, eight};
  for (; left() >= 4 * sizeof(block); at += 4 * sizeof(block)) {
    mask_one(at, sixteen);
    mask_one(at + sizeof(block), sixteen);
    mask_one(at + 2 * sizeof(block), sixteen);
    mask_one(at + 3 * sizeof(block), sixteen);
  }
  for (; left() >= sizeof(eight); at += sizeof(eight)) mask_one(at, eight);
  if (left() >= sizeof(four)) {
    mask_one(at, four);
    at += sizeof(four);
  }
  // All of these are multiples of the key, so what is left begins with the first byte of it as it was turned.
  std::byte last[sizeof(four)];
  std::memcpy(last, &four, sizeof(four));
  for (std::size_t i = 0; at != end; ++at, ++i) *at ^= last[i];
}

}  // namespace ferry::codec
