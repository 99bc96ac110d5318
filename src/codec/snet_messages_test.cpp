#include "codec/snet_messages.hpp"

#include <gtest/gtest.h>

#include "base/endian.hpp"
#include "testing/hex.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec::snet {
namespace {

using test::from_hex;
using test::to_hex;

constexpr std::uint64_t k_private = 0x123456789abcdef1u;  // of the recorded client
const shared_key k_key = [] {
  shared_key made{};
  const auto data = from_hex("26108bd9901b153b");
  std::copy(data.begin(), data.end(), made.begin());
  return made;
}();

TEST(snet_keys, are_the_recorded_ones) {
  EXPECT_EQ(to_hex(encode_new(public_key(k_private), form::newer).view()), "00d11b5ea114e5047c");
  const auto servers = from_hex("d46b55c8f9080cc3");
  EXPECT_EQ(*agree(k_private, load_le<std::uint64_t>(servers.data())), k_key);
}

TEST(snet_keys, agree_whoever_begins) {
  for (const std::uint64_t other : {std::uint64_t{2}, std::uint64_t{12345}, UINT64_MAX})
    EXPECT_EQ(*agree(k_private, public_key(other)), *agree(other, public_key(k_private)));
}

TEST(snet_keys, that_make_the_secret_known_are_refused) {
  for (const std::uint64_t key : {std::uint64_t{0}, std::uint64_t{1}, k_prime - 1, k_prime, k_prime + 1, UINT64_MAX})
    EXPECT_EQ(agree(k_private, key).error(), errc::protocol) << key;
  for (const std::uint64_t key : {std::uint64_t{2}, k_prime - 2}) EXPECT_TRUE(agree(k_private, key)) << key;
}

TEST(snet_rc4, enciphers_what_was_recorded_behind_the_id) {
  rc4 stream(k_key);
  std::vector<std::byte> id = from_hex("b928a779d280ed28");
  stream.apply(id, id);
  EXPECT_EQ(to_hex(id), "0100000000000000");
  auto echo = from_hex("be20549212");
  stream.apply(echo, echo);
  EXPECT_EQ(as_text(echo), "hello");
  rc4 other(k_key);
  other.skip(8);
  auto again = from_hex("be20549212");
  other.apply(again, again);
  EXPECT_EQ(as_text(again), "hello");
}

TEST(snet_opening, is_the_recorded_one_and_asks_for_more_at_every_cut) {
  const auto wire = from_hex("ff01000000000000007c00000000000000720000000000000029d5ada759b39cd1112046c295badef8");
  EXPECT_EQ(to_hex(encode_again(1, {124, 114}, k_key, form::newer).view()), to_hex(wire));
  test::for_every_cut(wire, [&](bytes head, bytes) {
    const auto got = decode_opening(head, form::newer);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->consumed, head.size() < wire.size() ? 0u : wire.size());
  });
  const auto whole = decode_opening(wire, form::newer);
  EXPECT_TRUE(whole->again);
  EXPECT_EQ(whole->id, 1u);
  EXPECT_EQ(whole->has, (counts{124, 114}));
  EXPECT_EQ(whole->proof, opening_proof(1, {124, 114}, k_key));
}

TEST(snet_opening, of_the_older_form_has_40_bytes_without_a_first_one) {
  const auto fresh = encode_new(7, form::older);
  EXPECT_EQ(to_hex(fresh.view()), "00000000000000000700000000000000" + std::string(48, '0'));
  const auto again = encode_again(1, {124, 114}, k_key, form::older);
  EXPECT_EQ(to_hex(again.view()), to_hex(encode_again(1, {124, 114}, k_key, form::newer).view()).substr(2));
  for (const auto& one : {fresh, again}) {
    test::for_every_cut(one.view(), [&](bytes head, bytes) {
      EXPECT_EQ(decode_opening(head, form::older)->consumed, head.size() < 40 ? 0u : 40u);
    });
    EXPECT_EQ(decode_opening(one.view(), form::older)->again, &one == &again || one.data != fresh.data);
  }
  EXPECT_EQ(decode_opening(fresh.view(), form::older)->public_key, 7u);
}

TEST(snet_opening, that_means_nothing_is_refused) {
  for (int first = 1; first < 255; ++first) {
    const std::vector<std::byte> wire{static_cast<std::byte>(first)};
    EXPECT_EQ(decode_opening(wire, form::newer).error(), errc::protocol) << first;
  }
  auto older = from_hex("00000000000000000700000000000000" + std::string(48, '0'));
  older.back() = std::byte{1};
  EXPECT_EQ(decode_opening(older, form::older).error(), errc::protocol);
}

TEST(snet_answer, is_read_as_it_is_written_and_zeros_refuse) {
  for (const auto as : {form::newer, form::older}) {
    const auto wire = encode(answer{1, 2, 3}, as);
    EXPECT_EQ(wire.size, answer_bytes(as));
    const auto read = decode_answer(wire.view(), as);
    EXPECT_EQ(read.first, 1u);
    EXPECT_EQ(read.second, 2u);
    EXPECT_EQ(read.challenge, as == form::newer ? 3u : 0u);
    EXPECT_FALSE(read.is_refusal());
  }
  EXPECT_TRUE(decode_answer(encode(answer{}, form::newer).view(), form::newer).is_refusal());
}

}  // namespace
}  // namespace ferry::codec::snet
