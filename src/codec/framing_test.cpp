#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "codec/slow_framing.hpp"

namespace ferry::codec {
namespace {

using byte_vector = std::vector<std::byte>;

byte_vector from(std::initializer_list<unsigned> values) {
  byte_vector out;
  for (const auto value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

template <framing F>
void append(byte_vector& wire, const message_view& message) {
  std::byte header[F::k_max_header];
  const auto size = F::encode_header(header, message);
  wire.insert(wire.end(), header, header + size);
  wire.insert(wire.end(), message.payload.begin(), message.payload.end());
}

/// `size` bytes, no two neighbours equal.
byte_vector payload_of(std::size_t size) {
  byte_vector out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 7 + i / 256);
  return out;
}

/// Decodes everything, showing the stream `step` bytes at a time; a copy of exactly those bytes, so that a sanitizer
/// sees every read outside.
template <framing F>
std::vector<byte_vector> decode_in_steps(const byte_vector& wire, std::size_t step, std::size_t max_message) {
  const F decoder(max_message);
  std::vector<byte_vector> messages;
  std::size_t done = 0;
  for (std::size_t shown = 0; shown <= wire.size();
       shown = shown == wire.size() ? shown + 1 : std::min(shown + step, wire.size())) {
    for (;;) {
      const byte_vector exact(wire.begin() + static_cast<std::ptrdiff_t>(done),
                              wire.begin() + static_cast<std::ptrdiff_t>(shown));
      const auto next = decoder.next(exact);
      if (!next) {
        ADD_FAILURE() << next.error().text();
        return messages;
      }
      if (next->consumed == 0) break;
      messages.emplace_back(next->message.payload.begin(), next->message.payload.end());
      done += next->consumed;
    }
  }
  EXPECT_EQ(done, wire.size());
  return messages;
}

template <class F>
class any_framing : public ::testing::Test {};

struct names {
  template <class F>
  static std::string GetName(int) {
    return F::k_name;
  }
};
using framings = ::testing::Types<varint_framing, u32_framing, typed_framing>;
TYPED_TEST_SUITE(any_framing, framings, names);

constexpr std::size_t k_sizes[] = {0, 1, 2, 63, 64, 126, 127, 128, 129, 255, 256, 300, 16383, 16384, 16385, 70000};

TYPED_TEST(any_framing, gives_back_what_was_encoded) {
  for (const auto size : k_sizes) {
    const auto payload = payload_of(size);
    byte_vector wire;
    append<TypeParam>(wire, {payload});
    EXPECT_EQ(TypeParam::frame_size(wire), wire.size()) << size;
    const auto next = TypeParam(size).next(wire);
    ASSERT_TRUE(next) << next.error().text();
    EXPECT_EQ(next->consumed, wire.size());
    EXPECT_EQ(next->total, wire.size());
    EXPECT_EQ(next->header, wire.size() - size);
    EXPECT_EQ(next->message.payload.data(), wire.data() + next->header) << "a view, not a copy";
    EXPECT_TRUE(std::ranges::equal(next->message.payload, payload));
  }
}

TYPED_TEST(any_framing, asks_for_more_at_every_cut_then_yields_the_frame) {
  for (const std::size_t size : {0u, 5u, 127u, 128u, 300u}) {
    byte_vector wire;
    append<TypeParam>(wire, {payload_of(size)});
    const auto header = wire.size() - size;
    const TypeParam decoder(size);
    for (std::size_t cut = 0; cut < wire.size(); ++cut) {
      const byte_vector exact(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(cut));
      const auto next = decoder.next(exact);
      ASSERT_TRUE(next);
      EXPECT_EQ(next->consumed, 0u) << "cut at " << cut;
      EXPECT_EQ(next->header, cut < header ? 0 : header) << "cut at " << cut;
      EXPECT_EQ(next->total, cut < header ? 0 : wire.size()) << "cut at " << cut;
      EXPECT_TRUE(next->message.payload.empty());
    }
    EXPECT_EQ(decoder.next(wire)->consumed, wire.size());
  }
}

TYPED_TEST(any_framing, reads_a_stream_of_frames_in_any_portions) {
  byte_vector wire;
  std::vector<byte_vector> sent;
  for (const std::size_t size : {3u, 0u, 130u, 1u, 0u, 64u, 257u}) {
    sent.push_back(payload_of(size));
    append<TypeParam>(wire, {sent.back()});
  }
  for (const std::size_t step : {1u, 2u, 3u, 7u, 64u, 100000u})
    EXPECT_EQ(decode_in_steps<TypeParam>(wire, step, 257), sent) << "step " << step;
}

TYPED_TEST(any_framing, leaves_what_follows_the_frame_alone) {
  byte_vector wire;
  append<TypeParam>(wire, {payload_of(9)});
  const auto size = wire.size();
  wire.insert(wire.end(), 50, std::byte{0xff});
  EXPECT_EQ(TypeParam(9).next(wire)->consumed, size);
  EXPECT_EQ(TypeParam::frame_size(wire), size);
}

TYPED_TEST(any_framing, accepts_a_message_of_the_limit_and_refuses_one_byte_more_with_value_and_limit) {
  byte_vector wire;
  append<TypeParam>(wire, {payload_of(301)});
  EXPECT_TRUE(TypeParam(301).next(wire));
  const auto refused = TypeParam(300).next(wire);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::message_too_large);
  EXPECT_EQ(refused.error().text(), "message of 301 bytes is larger than max_message (300)");
}

TYPED_TEST(any_framing, refuses_a_too_large_message_as_soon_as_its_header_is_there) {
  byte_vector wire;
  append<TypeParam>(wire, {payload_of(5000)});
  wire.resize(wire.size() - 5000);
  EXPECT_EQ(TypeParam(4999).next(wire).error(), errc::message_too_large);
  wire.pop_back();
  EXPECT_EQ(TypeParam(4999).next(wire)->consumed, 0u);
}

TYPED_TEST(any_framing, with_the_largest_limit_of_all_never_wraps) {
  for (unsigned first = 0; first < 256; ++first) {
    byte_vector wire(TypeParam::k_max_header, std::byte{0xff});
    wire[0] = static_cast<std::byte>(first);
    if (TypeParam::k_carries_kind) wire[6] = wire[7] = std::byte{0};
    EXPECT_EQ(slow::fast<TypeParam>(wire, SIZE_MAX), slow::expected<TypeParam>(wire, SIZE_MAX));
  }
}

TYPED_TEST(any_framing, decodes_every_corruption_of_a_single_byte_as_the_slow_decoder_does) {
  byte_vector wire;
  append<TypeParam>(wire, {payload_of(3)});
  append<TypeParam>(wire, {payload_of(200)});
  for (std::size_t at = 0; at < wire.size(); ++at)
    for (unsigned value = 0; value < 256; ++value) {
      auto corrupt = wire;
      corrupt[at] = static_cast<std::byte>(value);
      ASSERT_EQ(slow::fast<TypeParam>(corrupt, 1000), slow::expected<TypeParam>(corrupt, 1000)) << at << ' ' << value;
      if (at >= TypeParam::k_max_header) continue;
      corrupt.resize(TypeParam::k_max_header);
      ASSERT_EQ(slow::fast<TypeParam>(corrupt, 1000), slow::expected<TypeParam>(corrupt, 1000)) << at << ' ' << value;
    }
}

TYPED_TEST(any_framing, decodes_every_start_of_two_bytes_as_the_slow_decoder_does) {
  for (unsigned value = 0; value < 65536; ++value) {
    byte_vector wire(64);
    wire[0] = static_cast<std::byte>(value & 0xff);
    wire[1] = static_cast<std::byte>(value >> 8);
    for (const std::size_t cut : {1u, 2u, 3u, 20u, 64u}) {
      const byte_vector exact(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(cut));
      ASSERT_EQ(slow::fast<TypeParam>(exact, 50), slow::expected<TypeParam>(exact, 50)) << value << " cut at " << cut;
    }
  }
}

TYPED_TEST(any_framing, says_nothing_about_a_payload_that_its_header_cannot_express) {
  if constexpr (TypeParam::k_max_payload < SIZE_MAX) {
    std::byte room[TypeParam::k_max_header] = {};
    const bytes huge(room, static_cast<std::size_t>(TypeParam::k_max_payload) + 1);  // only its size is looked at
    EXPECT_EQ(TypeParam::encode_header(room, {huge}), 0u);
  }
}

TEST(varint_framing, writes_the_shortest_length_prefix) {
  const struct {
    std::size_t size;
    byte_vector prefix;
  } rows[] = {
      {0, from({0x00})},
      {1, from({0x01})},
      {127, from({0x7f})},
      {128, from({0x80, 0x01})},
      {300, from({0xac, 0x02})},
      {16383, from({0xff, 0x7f})},
      {16384, from({0x80, 0x80, 0x01})},
      {10u << 20, from({0x80, 0x80, 0x80, 0x05})},
  };
  for (const auto& row : rows) {
    std::byte out[varint_framing::k_max_header];
    const byte_vector payload(row.size);
    const auto size = varint_framing::encode_header(out, {payload});
    EXPECT_EQ(byte_vector(out, out + size), row.prefix) << row.size;
  }
}

TEST(varint_framing, reads_lengths_that_are_not_in_their_shortest_form) {
  const auto empty = varint_framing(10).next(from({0x80, 0x00}));
  EXPECT_EQ(empty->consumed, 2u);
  EXPECT_TRUE(empty->message.payload.empty());
  const auto wire = from({0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 'h', 'i'});
  const auto ten_bytes_of_header = varint_framing(10).next(wire);
  EXPECT_EQ(ten_bytes_of_header->consumed, 12u);
  EXPECT_EQ(ten_bytes_of_header->message.text(), "hi");
}

TEST(varint_framing, reads_the_largest_length_only_to_refuse_it) {
  byte_vector wire(10, std::byte{0xff});
  wire[9] = std::byte{0x01};
  const auto refused = varint_framing(10 << 20).next(wire);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text(), "message of 18446744073709551615 bytes is larger than max_message (10485760)");
}

TEST(varint_framing, reports_an_overflow_at_the_tenth_byte_and_not_before) {
  for (std::size_t size = 1; size <= 9; ++size)
    EXPECT_EQ(varint_framing(10).next(byte_vector(size, std::byte{0xff}))->consumed, 0u) << size;
  for (const std::size_t size : {10u, 11u}) {
    const byte_vector wire(size, std::byte{0xff});
    const auto refused = varint_framing(10).next(wire);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::varint_overflow);
    EXPECT_EQ(refused.error().text(), "length prefix larger than 64 bits: its tenth byte is 255, at most 1 fits");
  }
  byte_vector wire(9, std::byte{0x80});
  wire.push_back(std::byte{0x02});
  EXPECT_EQ(varint_framing(10).next(wire).error(), errc::varint_overflow);
}

TEST(u32_framing, puts_four_bytes_of_length_first_the_least_significant_one_first) {
  byte_vector wire;
  append<u32_framing>(wire, {as_bytes("abc")});
  EXPECT_EQ(wire, from({3, 0, 0, 0, 'a', 'b', 'c'}));
  wire.clear();
  append<u32_framing>(wire, {payload_of(0x010203)});
  EXPECT_TRUE(std::ranges::equal(bytes(wire).first(4), from({3, 2, 1, 0})));
}

TEST(typed_framing, carries_kind_and_type_in_a_header_of_eight_bytes) {
  byte_vector wire;
  append<typed_framing>(wire, {as_bytes("abc"), message_kind::text, 0x1234});
  EXPECT_EQ(wire, from({3, 0, 0, 0, 0x34, 0x12, 1, 0, 'a', 'b', 'c'}));
  const auto next = typed_framing(3).next(wire);
  EXPECT_EQ(next->message.text(), "abc");
  EXPECT_EQ(next->message.kind, message_kind::text);
  EXPECT_EQ(next->message.type, 0x1234);
}

TEST(typed_framing, tells_kind_and_type_as_soon_as_the_header_is_there) {
  const auto next = typed_framing(3).next(from({3, 0, 0, 0, 0x34, 0x12, 1, 0, 'a'}));
  EXPECT_EQ(next->consumed, 0u);
  EXPECT_EQ(next->total, 11u);
  EXPECT_EQ(next->message.kind, message_kind::text);
  EXPECT_EQ(next->message.type, 0x1234);
}

TEST(typed_framing, refuses_an_unknown_kind_and_a_reserved_byte_that_is_set) {
  const auto kind = typed_framing(3).next(from({0, 0, 0, 0, 0, 0, 2, 0}));
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error(), errc::protocol);
  EXPECT_EQ(kind.error().text(), "message kind 2 is neither 0 (binary) nor 1 (text)");
  const auto reserved = typed_framing(3).next(from({0, 0, 0, 0, 0, 0, 1, 9}));
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error(), errc::protocol);
  EXPECT_EQ(reserved.error().text(), "reserved byte of a header is 9, not 0");
}

}  // namespace
}  // namespace ferry::codec
