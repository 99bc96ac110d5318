#include "apps/ferry/demo_text.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "apps/ferry/demo_row.hpp"
#include "testing/temp_dir.hpp"

namespace {

using ferry::app::demo_checksum;
using ferry::app::demo_row;
using ferry::app::demo_text;

ferry::result<demo_text> text_with(const ferry::test::temp_dir& directory, const std::string& content) {
  std::ofstream(directory.file("text")) << content;
  return demo_text::open(directory.file("text"), 1000);
}

std::vector<std::string> lines_of(const demo_text& text) {
  std::vector<std::string> lines;
  for (demo_text::cursor at(text); !at.at_end();) {
    lines.emplace_back(at.line());
    at.advance(at.line());
  }
  return lines;
}

std::uint64_t checksum_of(const std::vector<std::string>& messages) {
  demo_checksum sum;
  for (const auto& one : messages) sum.add(ferry::as_bytes(one));
  return sum.value();
}

TEST(demo_text, gives_lines_without_newlines_also_empty_ones_and_an_unended_last_one) {
  const ferry::test::temp_dir directory;
  EXPECT_EQ(lines_of(*text_with(directory, "a\n\nbc\n")), (std::vector<std::string>{"a", "", "bc"}));
  EXPECT_EQ(lines_of(*text_with(directory, "a\nb")), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(lines_of(*text_with(directory, "\n")), (std::vector<std::string>{""}));
  const auto text = text_with(directory, "a\n\nbc\n");
  EXPECT_EQ(text->lines(), 3u);
  EXPECT_EQ(text->checksum(), checksum_of({"a", "", "bc"}));
}

TEST(demo_text, is_made_of_whole_lines_and_at_least_as_large_as_asked_for) {
  const ferry::test::temp_dir directory;
  const auto path = directory.file("made");
  const auto made = ferry::app::make_demo_text(path, 3'000'000);
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_GE(std::filesystem::file_size(path), 3'000'000u);
  EXPECT_LT(std::filesystem::file_size(path), 10'000'000u);
  const auto text = demo_text::open(path, 10u << 20);
  ASSERT_TRUE(text) << text.error().text();
  EXPECT_GT(text->lines(), 10'000u);
}

TEST(demo_checksum, depends_on_every_byte_on_lengths_and_on_the_order) {
  const auto right = checksum_of({"first", "a second, longer one", ""});
  EXPECT_EQ(right, checksum_of({"first", "a second, longer one", ""}));
  for (const auto& other :
       std::vector<std::vector<std::string>>{{"first", "a second, longer one"},
                                             {"firsta", " second, longer one", ""},
                                             {"a second, longer one", "first", ""},
                                             {"", "first", "a second, longer one"},
                                             {"first", "a second, longer onf", ""},
                                             {"first", "b second, longer one", ""},
                                             {"first", "a second, longer one", std::string(1, '\0')}})
    EXPECT_NE(right, checksum_of(other));
}

TEST(demo_row, is_perfect_only_if_everything_came_back_once_in_order_and_unchanged) {
  const ferry::test::temp_dir directory;
  const auto text = text_with(directory, "a\nb\n");
  const auto right = text->checksum();
  demo_row good{"ipc", {.sent = 2, .arrived = 2, .back = 2, .checksum_there = right, .checksum_back = right}, ""};
  EXPECT_TRUE(good.perfect(*text));
  auto bad = good;
  bad.figures.checksum_there += 1;
  EXPECT_FALSE(bad.perfect(*text));
  bad = good;
  bad.figures.checksum_back += 1;
  EXPECT_FALSE(bad.perfect(*text));
  bad = good;
  bad.figures.back = 1;
  EXPECT_EQ(bad.lost(), 1u);
  EXPECT_FALSE(bad.perfect(*text));
  bad = good;
  bad.figures.back = 3;
  EXPECT_EQ(bad.duplicated(), 1u);
  EXPECT_FALSE(bad.perfect(*text));
  bad = good;
  bad.failure = "the client ended";
  EXPECT_FALSE(bad.perfect(*text));
}

TEST(demo_text, on_a_full_disk_says_what_to_do) {
  const auto made = ferry::app::make_demo_text("/dev/full", 1'000'000);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().system_errno(), ENOSPC);
  EXPECT_NE(made.error().text().find("choose a smaller --size, or with TMPDIR"), std::string::npos)
      << made.error().text();
}

}  // namespace
