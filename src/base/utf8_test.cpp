#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(utf8_character, tells_how_many_bytes_a_character_has) {
  EXPECT_EQ(utf8_character("ab"), 1u);
  EXPECT_EQ(utf8_character("\xc3\xa9x"), 2u);
  EXPECT_EQ(utf8_character("\xe2\x82\xacx"), 3u);
  EXPECT_EQ(utf8_character("\xf0\x9f\x98\x80x"), 4u);
}

TEST(utf8_character, takes_nothing_that_is_cut_written_too_long_or_no_character) {
  for (const std::string_view wrong :
       {"", "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\xaf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3(", "\xe2\x82(", "\xff"})
    EXPECT_EQ(utf8_character(wrong), 0u) << ::testing::PrintToString(wrong);
}

TEST(utf8_beginning, ends_between_two_characters_wherever_it_is_cut) {
  const std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";  // ends of characters: 1, 3, 6, 10, 11
  const std::size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
  for (std::size_t most = 0; most < std::size(ends); ++most)
    EXPECT_EQ(utf8_beginning(text, most), text.substr(0, ends[most])) << most;
}

TEST(utf8_beginning, of_what_is_no_utf8_is_as_long_as_allowed) {
  const std::string_view text = "\x80\x80\x80\x80\x80\x80\x80";
  for (std::size_t most = 4; most < text.size(); ++most) EXPECT_EQ(utf8_beginning(text, most).size(), most);
}

TEST(printable, keeps_characters_and_replaces_what_moves_the_cursor) {
  EXPECT_EQ(printable("/run/gr\xc3\xb6\xc3\x9f"
                      "e: \xe2\x82\xac \xf0\x9f\x98\x80"),
            "/run/gr\xc3\xb6\xc3\x9f"
            "e: \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\x1b[2J\n\x7f"), "?[2J??");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J\xc2\xa0"),
            "?2J\xc2\xa0");
  EXPECT_EQ(printable("a\xe2\x80\xa8"
                      "b\xe2\x80\xae"
                      "c\xe2\x81\xa9"
                      "d\xe2\x80\x94"),
            "a?b?c?d\xe2\x80\x94");
  EXPECT_EQ(printable("x\xe2\x82"), "x??");
}

}  // namespace
}  // namespace ferry
