#include "base/utf8_validator.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/utf8.hpp"
#include "testing/splitter.hpp"

namespace ferry {
namespace {

/// Whether something that could follow makes one character of it.
bool begins_a_character(std::string_view part) {
  for (const std::string_view rest :
       {"\x80", "\x90", "\xa0", "\x80\x80", "\x90\x80", "\xa0\x80", "\x80\x80\x80", "\x90\x80\x80", "\xa0\x80\x80"})
    if (utf8_character(std::string(part).append(rest)) > part.size()) return true;
  return false;
}

/// How many bytes are the beginning of some UTF-8 text, found with the decoder of single characters.
std::size_t good_bytes_slowly(std::string_view text) {
  std::size_t at = 0;
  while (const auto size = utf8_character(text.substr(at))) at += size;
  std::size_t more = 0;
  while (at + more < text.size() && begins_a_character(text.substr(at, more + 1))) ++more;
  return at + more;
}

const std::string k_text =
    "plain words, long enough for several blocks of ASCII one after the other; \xc3\xa9t\xc3\xa9 "
    "\xce\xba\xe1\xbd\xb9\xcf"
    "\x83\xce\xbc\xce\xb5 \xe2\x82\xac \xf0\x9f\x98\x80\xf4\x8f\xbf\xbf \xed\x9f\xbf\xee\x80\x80 \xef\xbf\xbf and "
    "plain "
    "words again, until the end of this";

TEST(utf8_validator, takes_the_first_and_last_character_of_every_length) {
  for (const std::string_view good : {"", "\x01", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                      "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(as_bytes(good))) << ::testing::PrintToString(good);
}

TEST(utf8_validator, tells_the_first_byte_that_cannot_be_there) {
  const struct {
    std::string_view text;
    std::size_t good;
  } cases[] = {{"\x80", 0},
               {"ab\xbf", 2},
               {"\xc0\x80", 0},
               {"\xc1\xbf", 0},
               {"\xe0\x9f\x80", 1},
               {"\xed\xa0\x80", 1},
               {"\xf0\x8f\xbf\xbf", 1},
               {"\xf4\x90\x80\x80", 1},
               {"\xf5\x80", 0},
               {"\xff", 0},
               {"\xc3(", 1},
               {"\xe2\x82(", 2},
               {"\xe2(\x82", 1},
               {"\xf0\x9f\x98x", 3},
               {"\xce\xba\xed\xa0\x80"
                "edited",
                3}};
  for (const auto& c : cases) {
    utf8_validator check;
    EXPECT_EQ(check.feed(as_bytes(c.text)), c.good) << ::testing::PrintToString(c.text);
    EXPECT_FALSE(check.complete());
    EXPECT_EQ(check.feed(as_bytes("more")), 0u);
    check.reset();
    EXPECT_EQ(check.feed(as_bytes("more")), 4u);
  }
}

TEST(utf8_validator, is_not_complete_inside_a_character) {
  for (const std::string_view cut :
       {"\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98", "ab\xe0", "\xed"}) {
    utf8_validator check;
    EXPECT_EQ(check.feed(as_bytes(cut)), cut.size());
    EXPECT_FALSE(check.complete()) << ::testing::PrintToString(cut);
  }
}

TEST(utf8_validator, does_not_care_where_a_text_is_cut) {
  test::for_every_cut(as_bytes(k_text), [](bytes head, bytes tail) {
    utf8_validator check;
    ASSERT_EQ(check.feed(head), head.size());
    ASSERT_EQ(check.feed(tail), tail.size()) << "cut at " << head.size();
    EXPECT_TRUE(check.complete());
  });
}

TEST(utf8_validator, stops_at_the_same_byte_however_a_damaged_text_is_cut) {
  test::for_every_corruption(as_bytes(k_text), [](bytes damaged, std::size_t at) {
    utf8_validator whole;
    const std::size_t good = whole.feed(damaged);
    ASSERT_EQ(good, good_bytes_slowly(as_text(damaged))) << "changed at " << at;
    const std::size_t cut = at + 1 < damaged.size() ? at + 1 : at;
    utf8_validator parts;
    std::size_t in_parts = parts.feed(damaged.first(cut));
    if (in_parts == cut) in_parts += parts.feed(damaged.subspan(cut));
    ASSERT_EQ(in_parts, good) << "changed at " << at;
    ASSERT_EQ(parts.complete(), whole.complete());
  });
}

TEST(utf8_validator, agrees_with_the_decoder_of_single_characters_about_every_beginning) {
  std::string text(3, '\0');
  for (unsigned bits = 0; bits < 1u << 16; ++bits)
    for (const unsigned third : {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff}) {
      text[0] = static_cast<char>(bits >> 8);
      text[1] = static_cast<char>(bits);
      text[2] = static_cast<char>(third);
      std::size_t at = 0;
      while (at < 3 && utf8_character(std::string_view(text).substr(at)) != 0)
        at += utf8_character(std::string_view(text).substr(at));
      ASSERT_EQ(is_utf8(as_bytes(text)), at == 3) << std::hex << bits << ' ' << third;
    }
}

}  // namespace
}  // namespace ferry
