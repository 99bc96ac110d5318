#include "codec/sidecar_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/endian.hpp"
#include "testing/hex.hpp"
#include "testing/splitter.hpp"

namespace ferry::codec::sidecar {
namespace {

using test::from_hex;
using test::make_bytes;

std::vector<std::byte> stored(const message_parts& parts) {
  std::vector<std::byte> made(parts.total_bytes());
  store_message(made.data(), parts);
  return made;
}
const auto k_route = test::make_bytes("route");
const auto k_package = test::make_bytes("pack");
const auto k_body = test::make_bytes("body!!");
const message_parts k_parts{k_route, k_package, k_body};

TEST(sidecar_message, is_written_and_read_as_the_page_says) {
  const auto wire = stored(k_parts);
  EXPECT_EQ(test::to_hex(wire),
            "05000000"
            "16000000"
            "00000000"
            "726f757465"
            "04000000"
            "06000000"
            "00000000"
            "7061636b"
            "626f64792121");
  EXPECT_EQ(k_parts.route_bytes(), 17u);
  const auto got = split_message(wire, 17);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(as_text(got->route_head), "route");
  EXPECT_EQ(as_text(got->package_head), "pack");
  EXPECT_EQ(as_text(got->body), "body!!");
}

TEST(sidecar_message, may_have_an_empty_body) {
  const auto wire = stored({k_route, k_package, {}});
  const auto got = split_message(wire, 17);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_TRUE(got->body.empty());
}

TEST(sidecar_message, is_refused_at_every_cut) {
  test::for_every_cut(stored(k_parts), [](bytes head, bytes tail) {
    if (tail.empty()) return;
    const auto got = split_message(head, 17);
    ASSERT_FALSE(got) << head.size();
    EXPECT_EQ(got.error(), errc::protocol);
  });
}

TEST(sidecar_message, is_refused_when_the_ring_counts_another_route_head) {
  for (const std::size_t counted : {0, 12, 16, 18, 39}) {
    const auto got = split_message(stored(k_parts), counted);
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().text().find(std::to_string(counted) + " bytes"), std::string::npos) << got.error().text();
  }
}

TEST(sidecar_message, is_refused_when_a_size_is_zero_too_large_or_does_not_match_the_others) {
  struct damage {
    std::size_t offset;
    std::uint32_t value;
    errc reason;
  };
  for (const auto& [offset, value, reason] :
       {damage{0, 0, errc::protocol}, damage{0, 6, errc::protocol}, damage{0, 0xffffffff, errc::message_too_large},
        damage{4, 23, errc::protocol}, damage{4, 0xffffffff, errc::protocol}, damage{8, 1, errc::protocol},
        damage{17, 0, errc::protocol}, damage{17, 5, errc::protocol},
        damage{17, k_max_head + 1, errc::message_too_large}, damage{21, 7, errc::protocol},
        damage{21, 0, errc::protocol}, damage{25, 1, errc::protocol}}) {
    auto wire = stored(k_parts);
    store_le(wire.data() + offset, value);
    const auto got = split_message(wire, 17);
    ASSERT_FALSE(got) << offset << ' ' << value;
    EXPECT_EQ(got.error(), reason) << got.error().text();
  }
  // A tail that makes the sum right is still one that nobody may have.
  auto wire = stored(k_parts);
  store_le(wire.data() + 4, std::uint32_t{21});
  store_le(wire.data() + 8, std::uint32_t{1});
  EXPECT_FALSE(split_message(wire, 17));
}

TEST(sidecar_message, with_any_byte_changed_is_refused_or_gives_what_lies_inside_of_it) {
  const auto wire = stored(k_parts);
  test::for_every_corruption(wire, [&](bytes damaged, std::size_t at) {
    const auto got = split_message(damaged, 17);
    const bool is_size = at < 12 || (at >= 17 && at < 29);
    EXPECT_EQ(got.has_value(), !is_size) << at;
    EXPECT_TRUE(!got || got->total_bytes() == wire.size()) << at;
  });
}

TEST(sidecar_message, is_checked_before_it_is_written) {
  EXPECT_TRUE(check_message(k_parts));
  EXPECT_EQ(check_message({{}, k_package, k_body}).error(), errc::misuse);
  EXPECT_EQ(check_message({k_route, {}, k_body}).error(), errc::misuse);
  const std::vector<std::byte> most(k_max_head + 1);
  EXPECT_TRUE(check_message({bytes(most).first(k_max_head), k_package, k_body}));
  EXPECT_EQ(check_message({most, k_package, k_body}).error(), errc::message_too_large);
  EXPECT_EQ(check_message({k_route, most, k_body}).error(), errc::message_too_large);
  const std::vector<std::byte> body(k_max_payload);
  const auto fits = k_max_payload - 12 - k_package.size();
  EXPECT_TRUE(check_message({k_route, k_package, bytes(body).first(fits)}));
  const auto wrong = check_message({k_route, k_package, bytes(body).first(fits + 1)});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().text().find("the limit is " + std::to_string(fits)), std::string::npos);
}

}  // namespace
}  // namespace ferry::codec::sidecar
