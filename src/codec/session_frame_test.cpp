#include "codec/session_frame.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace ferry::codec {
namespace {

using enum session_frame_kind;

std::vector<std::byte> frame(session_frame_kind what, std::uint64_t ack, std::string_view payload = "",
                             std::uint16_t type = 0) {
  std::vector<std::byte> out(session_framing::k_header);
  session_framing::encode_header(out.data(), what, ack, payload.size(), type);
  for (const char c : payload) out.push_back(static_cast<std::byte>(c));
  return out;
}
std::vector<std::byte> raw(std::initializer_list<int> in) {
  std::vector<std::byte> out;
  for (const int byte : in) out.push_back(static_cast<std::byte>(byte));
  return out;
}

TEST(session_framing, writes_the_bytes_of_the_page) {
  EXPECT_EQ(frame(text, 0x0102030405060708, "hi", 0x2122),
            raw({2, 0, 0, 0, 0x22, 0x21, 1, 0, 8, 7, 6, 5, 4, 3, 2, 1, 'h', 'i'}));
  EXPECT_EQ(frame(question, 1), raw({0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(session_framing, asks_for_more_at_every_cut_then_yields_the_frame) {
  const session_framing framing(100);
  const auto whole = frame(text, 77, "hello", 9);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const auto part = framing.next(bytes(whole).first(cut));
    ASSERT_TRUE(part);
    EXPECT_EQ(part->consumed, 0u);
    EXPECT_EQ(part->total, cut < session_framing::k_header ? 0 : whole.size());
  }
  const auto got = framing.next(whole);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->consumed, whole.size());
  EXPECT_EQ(got->message.ack, 77u);
  EXPECT_EQ(got->message.view.text(), "hello");
  EXPECT_EQ(got->message.view.kind, message_kind::text);
  EXPECT_EQ(got->message.view.type, 9);
}

TEST(session_framing, tells_messages_from_what_has_only_a_number) {
  const session_framing framing(100);
  for (const auto what : {acknowledgement, question, end}) {
    const auto got = framing.next(frame(what, 5));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->message.what, what);
    EXPECT_FALSE(got->message.carries_message());
    EXPECT_EQ(got->message.ack, 5u);
  }
  EXPECT_TRUE(framing.next(frame(binary, 5))->message.carries_message());
}

TEST(session_framing, refuses_what_no_peer_sends) {
  const session_framing framing(10);
  const auto reason = [&](const std::vector<std::byte>& in) { return framing.next(in).error().reason(); };
  EXPECT_EQ(reason(frame(binary, 0, "12345678901")), errc::message_too_large);
  EXPECT_EQ(reason(frame(static_cast<session_frame_kind>(5), 0)), errc::protocol);
  EXPECT_EQ(reason(frame(static_cast<session_frame_kind>(255), 0)), errc::protocol);
  EXPECT_EQ(reason(frame(acknowledgement, 0, "x")), errc::protocol);
  EXPECT_EQ(reason(frame(end, 0, "", 1)), errc::protocol);
  auto reserved = frame(binary, 0, "x");
  reserved[7] = std::byte{1};
  EXPECT_EQ(reason(reserved), errc::protocol);
}

}  // namespace
}  // namespace ferry::codec
