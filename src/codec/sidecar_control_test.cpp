#include "codec/sidecar_control.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/endian.hpp"
#include "testing/hex.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec::sidecar {
namespace {

using test::from_hex;

std::vector<std::byte> header_of(std::int32_t id, std::int32_t head, std::int32_t total, std::int32_t flag) {
  std::vector<std::byte> made(k_control_header_bytes);
  store_le(made.data(), static_cast<std::uint32_t>(id));
  store_le(made.data() + 4, static_cast<std::uint32_t>(head));
  store_le(made.data() + 8, static_cast<std::uint32_t>(total));
  store_le(made.data() + 12, static_cast<std::uint32_t>(flag));
  return made;
}
error error_of(std::int32_t id, std::int32_t head, std::int32_t total, std::int32_t flag = 0) {
  const auto got = control_decoder().next(header_of(id, head, total, flag));
  return got ? error() : got.error();
}

TEST(sidecar_control, is_written_and_read_as_the_page_says) {
  std::vector<std::byte> wire(k_control_header_bytes);
  store_control_header(wire.data(), 203, 3);
  EXPECT_EQ(test::to_hex(wire),
            "cb000000"
            "03000000"
            "13000000"
            "00000000");
  for (const char byte : {'a', 'b', 'c'}) wire.push_back(static_cast<std::byte>(byte));
  const auto got = control_decoder().next(wire);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->consumed, 19u);
  EXPECT_EQ(got->id, 203);
  EXPECT_EQ(as_text(got->head), "abc");
}

TEST(sidecar_control, asks_for_more_at_every_cut_and_tells_its_size_as_soon_as_its_header_is_there) {
  const auto wire = from_hex(
      "d6000000"
      "05000000"
      "15000000"
      "00000000"
      "0102030405");
  test::for_every_cut(wire, [&](bytes head, bytes) {
    const auto got = control_decoder().next(head);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->total, head.size() < 16 ? 0u : wire.size());
    EXPECT_EQ(got->consumed, head.size() < wire.size() ? 0u : wire.size());
  });
}

TEST(sidecar_control, may_carry_more_than_its_head_which_is_not_looked_at) {
  const auto wire = from_hex(
      "c9000000"
      "01000000"
      "13000000"
      "00000000"
      "41424344");
  const auto got = control_decoder().next(wire);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->consumed, 19u);
  EXPECT_EQ(as_text(got->head), "A");
}

TEST(sidecar_control, is_refused_with_the_value_beyond_each_limit_and_taken_at_it) {
  EXPECT_EQ(error_of(101, 0, 16), errc{});
  EXPECT_EQ(error_of(59999, 0, 16), errc{});
  EXPECT_EQ(error_of(203, 0, 10 << 20), errc{});
  struct sample {
    std::int32_t id, head, total, flag;
    errc reason;
    const char* text;
  };
  for (const auto& [id, head, total, flag, reason, text] :
       {sample{100, 0, 16, 0, errc::protocol, "100"}, sample{60000, 0, 16, 0, errc::protocol, "60000"},
        sample{-1, 0, 16, 0, errc::protocol, "-1"}, sample{203, -1, 16, 0, errc::protocol, "-1"},
        sample{203, 0, 15, 0, errc::protocol, "15"}, sample{203, 1, 16, 0, errc::protocol, "17"},
        sample{203, 0x7fffffff, 16, 0, errc::protocol, "2147483663"}, sample{203, 0, -16, 0, errc::protocol, "-16"},
        sample{203, 0, 16, 1, errc::protocol, "flag 1"},
        sample{203, 0, (10 << 20) + 1, 0, errc::message_too_large, "the limit is 10485760"}}) {
    const auto wrong = error_of(id, head, total, flag);
    EXPECT_EQ(wrong, reason) << id << ' ' << head << ' ' << total << ' ' << flag;
    EXPECT_NE(wrong.text().find(text), std::string::npos) << wrong.text();
  }
}

TEST(sidecar_control, of_a_smaller_limit_refuses_what_is_larger) {
  EXPECT_TRUE(control_decoder(20).next(header_of(203, 4, 20, 0)));
  EXPECT_FALSE(control_decoder(20).next(header_of(203, 5, 21, 0)));
  EXPECT_FALSE(control_decoder(SIZE_MAX).next(header_of(203, 0, (10 << 20) + 1, 0)));
}

TEST(sidecar_control, with_any_byte_of_its_header_changed_never_gives_more_than_there_is) {
  const auto wire = from_hex(
      "c9000000"
      "02000000"
      "12000000"
      "00000000"
      "4142");
  test::for_every_corruption(wire, [&](bytes damaged, std::size_t) {
    const auto got = control_decoder().next(damaged);
    EXPECT_TRUE(!got || got->consumed == 0 || got->head.size() + k_control_header_bytes <= got->consumed);
  });
}

}  // namespace
}  // namespace ferry::codec::sidecar
