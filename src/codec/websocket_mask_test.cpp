#include "codec/websocket_mask.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using test::byte_string;
using test::make_bytes;

constexpr websocket_mask_key k_key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

byte_string numbered(std::size_t size) {
  byte_string made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::byte>(i * 31 + i / 251);
  return made;
}

/// As the RFC writes it.
byte_string masked_slowly(bytes data, std::uint64_t offset) {
  byte_string out(data.begin(), data.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] ^= k_key[(offset + i) % 4];
  return out;
}

TEST(websocket_mask, turns_hello_into_the_bytes_of_the_rfc_and_back) {
  auto data = make_bytes("Hello");
  apply_websocket_mask(data, k_key);
  EXPECT_EQ(data, make_bytes({0x7f, 0x9f, 0x4d, 0x51, 0x58}));
  apply_websocket_mask(data, k_key);
  EXPECT_EQ(data, make_bytes("Hello"));
}

TEST(websocket_mask, does_the_same_at_every_alignment_size_and_offset_and_touches_nothing_around) {
  const auto source = numbered(400);
  for (std::size_t alignment = 0; alignment < 17; ++alignment)
    for (const std::size_t size : {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 63, 64, 65, 79, 80, 127, 128, 131, 255, 300})
      for (std::uint64_t offset = 0; offset < 5; ++offset) {
        auto data = source;
        apply_websocket_mask(mutable_bytes(data).subspan(alignment, size), k_key, offset);
        auto expected = source;
        std::ranges::copy(masked_slowly(bytes(source).subspan(alignment, size), offset),
                          expected.begin() + static_cast<std::ptrdiff_t>(alignment));
        ASSERT_EQ(data, expected) << size << " bytes at " << alignment << ", offset " << offset;
      }
}

TEST(websocket_mask, goes_on_wherever_it_was_interrupted) {
  const auto source = numbered(300);
  const auto expected = masked_slowly(source, 0);
  for (std::size_t cut = 0; cut <= source.size(); ++cut) {
    auto data = source;
    apply_websocket_mask(mutable_bytes(data).first(cut), k_key);
    apply_websocket_mask(mutable_bytes(data).subspan(cut), k_key, cut);
    ASSERT_EQ(data, expected) << "cut at " << cut;
  }
}

TEST(websocket_mask, takes_offsets_beyond_32_bits) {
  auto data = numbered(64);
  const auto expected = masked_slowly(data, 3);
  apply_websocket_mask(data, k_key, (std::uint64_t{1} << 40) + 3);
  EXPECT_EQ(data, expected);
}

}  // namespace
}  // namespace ferry::codec
