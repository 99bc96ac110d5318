#include "apps/ferry/cutter.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

using ferry::app::cutter;
using ferry::app::split_rule;

/// What comes out when `text` comes in pieces of `piece` bytes.
std::vector<std::string> cut(const std::string& how, std::string_view text, std::size_t piece) {
  cutter it(*split_rule::parse(how), 100);
  std::vector<std::string> messages;
  for (;;) {
    const auto message = it.next();
    if (!message) {
      messages.push_back("error: " + message.error().text());
      return messages;
    }
    if (*message) {
      messages.emplace_back(ferry::as_text(**message));
    } else if (it.done()) {
      return messages;
    } else if (text.empty()) {
      it.finish();
    } else {
      const auto part = text.substr(0, piece);
      std::memcpy(it.room().data(), part.data(), part.size());
      it.filled(part.size());
      text.remove_prefix(part.size());
    }
  }
}

using messages = std::vector<std::string>;

TEST(cutter, makes_lines_into_messages_wherever_the_input_is_cut) {
  for (std::size_t piece = 1; piece <= 12; ++piece) {
    EXPECT_EQ(cut("lines", "one\n\nthree\r\n", piece), (messages{"one", "", "three\r"})) << piece;
    EXPECT_EQ(cut("lines", "one\nlast", piece), (messages{"one", "last"})) << piece;
    EXPECT_EQ(cut("lines", "\n", piece), (messages{""})) << piece;
    EXPECT_EQ(cut("lines", "", piece), messages{}) << piece;
  }
}

TEST(cutter, makes_everything_one_message_also_if_there_is_nothing) {
  for (std::size_t piece = 1; piece <= 9; ++piece) {
    EXPECT_EQ(cut("whole", "one\ntwo\n", piece), (messages{"one\ntwo\n"})) << piece;
  }
  EXPECT_EQ(cut("whole", "", 1), (messages{""}));
}

TEST(cutter, makes_chunks_of_which_the_last_is_what_is_left) {
  for (std::size_t piece = 1; piece <= 9; ++piece) {
    EXPECT_EQ(cut("3", "abcdefgh", piece), (messages{"abc", "def", "gh"})) << piece;
    EXPECT_EQ(cut("3", "abcdef", piece), (messages{"abc", "def"})) << piece;
    EXPECT_EQ(cut("3", "", piece), messages{}) << piece;
  }
}

TEST(cutter, refuses_a_message_above_the_limit_and_says_which) {
  const std::string why =
      " is larger than max_message (100 bytes); cut it with --split BYTES, or raise -o max_message on both sides";
  const std::string fits(100, 'x');
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    EXPECT_EQ(cut("lines", fits + "\n" + fits, piece), (messages{fits, fits}));
    EXPECT_EQ(cut("lines", fits + "\n" + fits + "y\n", piece), (messages{fits, "error: message 2" + why}));
    EXPECT_EQ(cut("lines", fits + "y", piece), (messages{"error: message 1" + why}));
    EXPECT_EQ(cut("whole", fits, piece), (messages{fits}));
    EXPECT_EQ(cut("whole", fits + "y", piece), (messages{"error: message 1" + why}));
  }
}

TEST(cutter, handles_messages_larger_than_its_first_block) {
  const std::string large(3u << 20, 'x');
  cutter it(*split_rule::parse("lines"), large.size());
  std::string_view left = large;
  while (!left.empty()) {
    ASSERT_TRUE(it.next());
    const auto room = it.room();
    const auto part = left.substr(0, room.size());
    std::memcpy(room.data(), part.data(), part.size());
    it.filled(part.size());
    left.remove_prefix(part.size());
  }
  it.finish();
  const auto message = it.next();
  ASSERT_TRUE(message && *message);
  EXPECT_EQ(ferry::as_text(**message), large);
}

TEST(split_rule, reads_two_words_and_sizes_and_nothing_else) {
  EXPECT_EQ(split_rule::parse("lines")->how, split_rule::kind::lines);
  EXPECT_EQ(split_rule::parse("whole")->how, split_rule::kind::whole);
  EXPECT_EQ(split_rule::parse("64KiB")->chunk, 65536u);
  for (const auto* wrong : {"", "0", "line", "-1", "2GiB", "64KiBs"}) EXPECT_FALSE(split_rule::parse(wrong)) << wrong;
}

}  // namespace
