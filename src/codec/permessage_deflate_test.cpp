#include "codec/permessage_deflate.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <optional>
#include <string>

#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using test::byte_string;
using test::make_bytes;

byte_string deflated(message_deflater& by, bytes part, bool last = true) {
  byte_string out(message_deflater::bound(part.size()));
  const auto size = by.deflate(part, last, out);
  EXPECT_TRUE(size);
  out.resize(size ? *size : 0);
  return out;
}
byte_string deflated(message_deflater& by, std::string_view text, bool last = true) {
  return deflated(by, as_bytes(text), last);
}

/// The message, `portion` bytes of input at a time into `room` bytes of output; nothing if it is corrupt.
std::optional<std::string> inflated(message_inflater& by, bytes in, std::size_t portion = 1000,
                                    std::size_t room = 1000) {
  std::string text;
  byte_string out(room);
  const auto keep = [&](std::size_t size) { text += as_text(bytes(out).first(size)); };
  for (std::size_t at = 0; at < in.size();) {
    const auto step = by.feed(in.subspan(at, std::min(portion, in.size() - at)), out);
    if (!step || step->corrupt) return std::nullopt;
    keep(step->produced);
    at += step->consumed;
  }
  do {
    const auto step = by.finish(out);
    if (!step || step->corrupt) return std::nullopt;
    keep(step->produced);
  } while (!by.done());
  return text;
}

/// By zlib itself, with a window of 256 bytes and one byte of room, so that it has nothing but the window to refer to.
std::string inflated_with_256_bytes(byte_string in) {
  z_stream z{};
  if (::inflateInit2(&z, -8) != Z_OK) return "(not started)";
  std::string text;
  Bytef out = 0;
  z.next_in = reinterpret_cast<Bytef*>(in.data());
  z.avail_in = static_cast<uInt>(in.size());
  for (;;) {
    z.next_out = &out;
    z.avail_out = 1;
    if (::inflate(&z, Z_SYNC_FLUSH) != Z_OK || z.avail_out == 1) break;
    text += static_cast<char>(out);
  }
  ::inflateEnd(&z);
  return text;
}

/// Bytes that deflate cannot make smaller.
byte_string noise(std::size_t size) {
  byte_string made(size);
  std::uint64_t state = 88172645463325252u;
  for (auto& byte : made) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::byte>(state >> 32);
  }
  return made;
}

TEST(message_inflater, reads_the_examples_of_the_rfc_however_they_are_cut) {
  const byte_string examples[] = {
      make_bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}),
      make_bytes({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}),
      make_bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}),
      make_bytes({0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00})};
  for (const auto& example : examples)
    for (std::size_t portion = 1; portion <= example.size(); ++portion)
      for (std::size_t room = 1; room < 7; ++room) {
        message_inflater inflater({});
        EXPECT_EQ(inflated(inflater, example, portion, room), "Hello") << portion << ' ' << room;
        EXPECT_EQ(inflated(inflater, example, portion, room), "Hello") << "a second time";
      }
}

TEST(message_inflater, takes_over_what_earlier_messages_said_also_past_a_final_block) {
  message_inflater inflater({});
  EXPECT_EQ(inflated(inflater, make_bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
  EXPECT_EQ(inflated(inflater, make_bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), "Hello");
  message_inflater after_final({});
  EXPECT_EQ(inflated(after_final, make_bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00})), "Hello");
  EXPECT_EQ(inflated(after_final, make_bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), "Hello");
  message_inflater ends_final({});
  EXPECT_EQ(inflated(ends_final, make_bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
  EXPECT_EQ(inflated(ends_final, make_bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), "Hello");
}

TEST(message_inflater, without_take_over_knows_nothing_of_earlier_messages) {
  message_inflater inflater({.take_over = false});
  EXPECT_EQ(inflated(inflater, make_bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})), "Hello");
  EXPECT_EQ(inflated(inflater, make_bytes({0xf2, 0x00, 0x11, 0x00, 0x00})), std::nullopt);
}

TEST(message_inflater, refuses_what_is_no_deflate_and_what_ends_inside_of_a_block) {
  for (const auto& wrong :
       {make_bytes({0x07}), make_bytes({0x06, 0xff, 0xff}), make_bytes({0x00, 0x05, 0x00, 0x00, 0x00}),
        make_bytes({0xf2, 0x48}), make_bytes({0xf2, 0x48, 0xcd, 0xc9})}) {
    message_inflater inflater({});
    EXPECT_EQ(inflated(inflater, wrong), std::nullopt) << ::testing::PrintToString(wrong);
    byte_string out(10);
    EXPECT_TRUE(inflater.feed(make_bytes({0}), out)->corrupt) << "it stays so";
  }
}

TEST(message_inflater, hands_out_what_came_before_the_corrupt_part) {
  message_inflater inflater({});
  byte_string out(100);
  const auto step = inflater.feed(make_bytes({0x00, 0x05, 0x00, 0xfa, 0xff, 'H', 'e', 'l', 'l', 'o', 0x07}), out);
  ASSERT_TRUE(step);
  EXPECT_TRUE(step->corrupt);
  EXPECT_EQ(as_text(bytes(out).first(step->produced)), "Hello");
}

TEST(message_inflater, takes_any_number_of_final_blocks_in_one_message) {
  // "Hello", then an empty final block again and again, then "Hello" by reference to the first.
  auto many = make_bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00});
  for (int i = 0; i < 1000; ++i) many.insert(many.end(), {std::byte{0x03}, std::byte{0x00}});
  const auto again = make_bytes({0xf2, 0x00, 0x11, 0x00, 0x00});
  many.insert(many.end(), again.begin(), again.end());
  for (const std::size_t portion : {1, 2, 1000, 10000}) {
    message_inflater inflater({});
    EXPECT_EQ(inflated(inflater, many, portion), "HelloHello");
    EXPECT_EQ(inflated(inflater, again), "Hello");
  }
}

TEST(message_deflater, writes_the_examples_of_the_rfc) {
  message_deflater deflater({});
  EXPECT_EQ(deflated(deflater, "Hello"), make_bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}));
  EXPECT_EQ(deflated(deflater, "Hello"), make_bytes({0xf2, 0x00, 0x11, 0x00, 0x00}));
  message_deflater forgetful({.take_over = false});
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(deflated(forgetful, "Hello"), make_bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}));
  EXPECT_EQ(deflated(forgetful, ""), make_bytes({0x00}));
  EXPECT_EQ(deflated(deflater, ""), make_bytes({0x00}));
}

TEST(message_deflater, what_it_writes_comes_back_with_every_window_and_level) {
  std::string text;
  for (int i = 0; i < 1500; ++i) text.append("line ").append(std::to_string(i * i)).append("\n");
  const auto hard = noise(20000);
  for (int bits = 8; bits <= 15; ++bits)
    for (const bool take_over : {true, false})
      for (const int level : {1, 6})
        for (const int memory : {1, 8}) {
          const deflate_direction direction{bits, take_over};
          message_deflater deflater(direction, {.level = level, .memory_level = memory});
          message_inflater inflater(direction);
          for (int round = 0; round < 2; ++round) {
            ASSERT_EQ(inflated(inflater, deflated(deflater, text)), text) << bits << ' ' << level << ' ' << memory;
            ASSERT_EQ(inflated(inflater, deflated(deflater, "")), "");
            ASSERT_EQ(inflated(inflater, deflated(deflater, hard)), as_text(hard));
            inflater.settle();
            deflater.settle();
          }
        }
}

TEST(message_deflater, for_a_window_of_8_bits_refers_to_nothing_farther_back) {
  // Repeats at every distance up to 600.
  std::string text;
  for (std::size_t distance = 3; distance < 600; ++distance) {
    const auto fresh = noise(distance + 8);
    std::string part(as_text(fresh));
    part.append(part);
    text += part;
  }
  for (const int level : {1, 6, 9}) {
    message_deflater deflater({.window_bits = 8}, {.level = level, .memory_level = 8});
    const auto small = deflated(deflater, text);
    EXPECT_LT(small.size(), text.size() * 9 / 10) << "it does refer to what it said before";
    message_inflater inflater({.window_bits = 8});
    EXPECT_EQ(inflated(inflater, small), text);
    EXPECT_EQ(inflated_with_256_bytes(small), text);
  }
}

TEST(message_deflater, parts_can_be_inflated_as_soon_as_they_are_written) {
  message_deflater deflater({});
  message_inflater inflater({});
  byte_string out(100);
  std::string text;
  for (const std::string_view part : {"first part, ", "", "second part"}) {
    const auto small = deflated(deflater, part, false);
    if (!part.empty()) {
      const auto step = inflater.feed(small, out);
      ASSERT_TRUE(step);
      text += as_text(bytes(out).first(step->produced));
    } else {
      EXPECT_TRUE(small.empty());
    }
  }
  EXPECT_EQ(text, "first part, second part");
  EXPECT_EQ(inflated(inflater, deflated(deflater, "")), "");
  EXPECT_EQ(inflated(inflater, deflated(deflater, "next message")), "next message");
}

TEST(message_deflater, never_writes_more_than_its_bound) {
  for (const std::size_t size : {1, 2, 10, 100, 1000, 10000, 100000, 1000000})
    for (const int memory : {1, 5, 9})
      for (const int bits : {9, 15}) {
        message_deflater deflater({bits, true}, {.level = 1, .memory_level = memory});
        byte_string out(message_deflater::bound(size));
        EXPECT_TRUE(deflater.deflate(noise(size), true, out)) << size << ' ' << memory << ' ' << bits;
      }
}

TEST(message_deflater, without_enough_room_says_so_and_stops) {
  message_deflater deflater({});
  byte_string out(50);
  EXPECT_EQ(deflater.deflate(noise(1000), true, out).error(), errc::no_memory);
  byte_string enough(1000);
  EXPECT_EQ(deflater.deflate(noise(1), true, enough).error(), errc::no_memory);
}

}  // namespace
}  // namespace ferry::codec
