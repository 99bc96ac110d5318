#include "apps/ferry/log_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "apps/ferry/app.hpp"
#include "apps/ferry/program_under_test.hpp"

namespace ferry::app {
namespace {

TEST(log_file, takes_what_is_said_and_goes_on_in_a_new_file_when_it_was_renamed) {
  const ferry::test::temp_dir place;
  const auto path = place.file("gateway.log");
  test::write_file(path, "from yesterday\n");
  {
    auto log = log_file::take(path);
    ASSERT_TRUE(log) << log.error().text();
    say("one");
    std::filesystem::rename(path, path + ".1");
    say("two");
    ASSERT_TRUE(log->reopen());
    say("three");
  }
  say("this line of the test is for standard error");
  EXPECT_EQ(test::content_of(path + ".1"), "from yesterday\nferry: one\nferry: two\n");
  EXPECT_EQ(test::content_of(path), "ferry: three\n");
}

TEST(log_file, that_cannot_be_opened_says_which_and_the_one_before_stays) {
  const ferry::test::temp_dir place;
  const auto none = log_file::take(place.file("not/there"));
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text().find(place.file("not/there")), std::string::npos) << none.error().text();
  const auto path = place.file("gateway.log");
  auto log = log_file::take(path);
  ASSERT_TRUE(log);
  std::filesystem::rename(path, path + ".1");
  std::filesystem::create_directory(path);
  const auto again = log->reopen();
  ASSERT_FALSE(again);
  say("still here");
  EXPECT_EQ(test::content_of(path + ".1"), "ferry: still here\n");
}

}  // namespace
}  // namespace ferry::app
