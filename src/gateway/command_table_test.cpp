#include "gateway/command_table.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ferry::gateway {
namespace {

using words = command_table::words;

command_table small_table() {
  command_table made;
  made.add({"look", "WORD...", "Looks", [](words given) -> result<std::string> {
              std::string all = "looked at";
              for (const auto one : given) all += " " + std::string(one);
              return all;
            }});
  made.add({"look twice", "", "Looks again", [](words) -> result<std::string> { return "one\ntwo\n"; }});
  made.add({"fail", "", "Does not", [](words) -> result<std::string> { return error(errc::busy, "not now"); }});
  return made;
}

TEST(command_table, runs_the_command_with_the_longest_name) {
  const auto table = small_table();
  EXPECT_EQ(table.run("look \t here and there\r").value(), "looked at here and there");
  EXPECT_EQ(table.run(" look  twice").value(), "one\ntwo\n");
  EXPECT_EQ(table.run("look").value(), "looked at");
}

TEST(command_table, answers_an_unknown_command_with_those_that_there_are) {
  const auto unknown = small_table().run("lok\x1b twice");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error(), errc::unknown_option);
  EXPECT_EQ(unknown.error().text(), "unknown command 'lok\\x1b twice'; there are: fail, look WORD..., look twice");
}

TEST(command_table, says_which_argument_is_too_many_and_which_command_failed) {
  const auto table = small_table();
  EXPECT_EQ(table.run("look twice now").error().text(), "look twice: takes no 'now'");
  EXPECT_EQ(table.run("fail").error().text(), "fail: not now");
  EXPECT_EQ(table.run("fail").error(), errc::busy);
}

TEST(command_table, takes_commands_of_others_and_another_one_of_the_same_name) {
  auto table = small_table();
  table.add({"fail", "", "Does", [](words) -> result<std::string> { return "done"; }});
  table.add({"another", "", "One more", [](words) -> result<std::string> { return "more"; }});
  EXPECT_EQ(table.run("fail").value(), "done");
  EXPECT_EQ(table.list(), "another, fail, look WORD..., look twice");
}

TEST(command_table, runs_every_line_of_a_file_and_goes_on_after_one_that_is_wrong) {
  std::vector<std::string> told;
  small_table().run_all("# comment\n\nlook twice\r\nnone\n  fail\nlook at",
                        [&](const std::string& line) { told.push_back(line.substr(0, 14)); });
  EXPECT_EQ(told, (std::vector<std::string>{"one", "two", "unknown comman", "fail: not now", "looked at at"}));
}

}  // namespace
}  // namespace ferry::gateway
