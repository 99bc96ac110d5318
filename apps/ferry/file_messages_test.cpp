#include "apps/ferry/file_messages.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "apps/ferry/program_under_test.hpp"

namespace {

using namespace ferry;
using namespace ferry::app;
using messages = std::vector<std::pair<std::string, message_kind>>;

constexpr auto k_text = message_kind::text;
constexpr auto k_binary = message_kind::binary;

class messages_of_a_file : public ::testing::Test {
 protected:
  void write(const std::string& content) { app::test::write_file(path_, content); }
  [[nodiscard]] file_messages open(const std::string& split = "lines", std::size_t max_message = 1000) const {
    auto opened = file_messages::open(path_, *split_rule::parse(split), max_message);
    return std::move(opened.value());
  }
  static messages all_of(file_messages& from) {
    messages all;
    for (auto next = from.next(); next.value(); next = from.next()) {
      all.emplace_back(as_text((*next)->payload), (*next)->kind);
      from.taken();
    }
    return all;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  ferry::test::temp_dir directory_;
  std::string path_ = directory_.file("text");
};

TEST_F(messages_of_a_file, are_text_where_a_newline_follows_and_else_the_bytes_themselves) {
  write("one\n\nlast");
  auto lines = open();
  ASSERT_TRUE(lines.resume({}, 1));
  EXPECT_EQ(all_of(lines), (messages{{"one", k_text}, {"", k_text}, {"last", k_binary}}));
  EXPECT_EQ(lines.offset(), 9u);
  write("one\n");
  auto whole = open("whole");
  ASSERT_TRUE(whole.resume({}, 1));
  EXPECT_EQ(all_of(whole), (messages{{"one\n", k_binary}}));
  auto chunks = open("3");
  ASSERT_TRUE(chunks.resume({}, 1));
  EXPECT_EQ(all_of(chunks), (messages{{"one", k_binary}, {"\n", k_binary}}));
}

TEST_F(messages_of_a_file, go_on_behind_the_last_one_that_was_taken) {
  write("one\ntwo\nthr");
  auto first = open();
  ASSERT_TRUE(first.resume({}, 1));
  first.taken();  // nothing was there to be taken
  ASSERT_TRUE(first.next().value());
  first.taken();
  ASSERT_TRUE(first.next().value());  // seen, and not taken
  auto second = open();
  ASSERT_TRUE(second.resume(first.position().value(), 1));
  EXPECT_EQ(all_of(second), (messages{{"two", k_text}, {"thr", k_binary}}));
  write("one\ntwo\nthree\n");
  auto third = open();
  ASSERT_TRUE(third.resume(second.position().value(), 1));
  EXPECT_EQ(all_of(third), (messages{{"ee", k_text}}));
}

TEST_F(messages_of_a_file, are_none_where_nothing_was_added) {
  write("one\n");
  for (const auto* split : {"lines", "whole", "2"}) {
    auto first = open(split);
    ASSERT_TRUE(first.resume({}, 1));
    EXPECT_FALSE(all_of(first).empty());
    auto again = open(split);
    ASSERT_TRUE(again.resume(first.position().value(), 1));
    EXPECT_EQ(all_of(again), messages{}) << split;
  }
}

TEST_F(messages_of_a_file, begin_again_in_another_session) {
  write("one\n");
  auto lines = open();
  ASSERT_TRUE(lines.resume({}, 1));
  EXPECT_EQ(all_of(lines).size(), 1u);
  ASSERT_TRUE(lines.resume(lines.position().value(), 2));
  EXPECT_EQ(lines.session(), 2u);
  EXPECT_EQ(all_of(lines).size(), 1u);
}

TEST_F(messages_of_a_file, say_where_one_is_too_long_and_what_to_do) {
  write("one\n" + std::string(1001, 'x') + "\n");
  auto lines = open();
  ASSERT_TRUE(lines.resume({}, 1));
  ASSERT_TRUE(lines.next().value());
  lines.taken();
  const auto too_long = lines.next();
  ASSERT_EQ(too_long.error(), errc::message_too_large);
  const auto text = too_long.error().text();
  EXPECT_NE(text.find("begins at byte 4 is longer"), std::string::npos) << text;
  EXPECT_NE(text.find("1000 bytes"), std::string::npos) << text;
  EXPECT_NE(text.find("--split BYTES"), std::string::npos) << text;
}

TEST_F(messages_of_a_file, come_from_regular_files_only) {
  EXPECT_EQ(file_messages::open("/dev/null", {}, 100).error(), errc::bad_address);
  EXPECT_EQ(file_messages::open(path(), {}, 100).error(), errc::not_found);
}

}  // namespace
