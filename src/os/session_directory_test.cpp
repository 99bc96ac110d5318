#include "os/session_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

/// Sets a variable of the environment, or removes it, and what it was again in the end.
class variable {
 public:
  variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* const was = std::getenv(name)) was_ = was;
    set(value);
  }
  ~variable() { set(was_); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;

 private:
  void set(const std::optional<std::string>& value) const {
    value ? ::setenv(name_, value->c_str(), 1) : ::unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> was_;
};

TEST(session_directory, is_the_option_then_the_service_managers_then_the_users) {
  const test::temp_dir dir;
  const variable home("HOME", dir.file("home"));
  const variable user("XDG_STATE_HOME", dir.file("state"));
  const variable system("STATE_DIRECTORY", dir.file("first") + ":" + dir.file("second"));
  EXPECT_EQ(session_directory(dir.file("chosen"), true).value(), dir.file("chosen"));
  EXPECT_EQ(session_directory("", true).value(), dir.file("first"));
  const variable no_system("STATE_DIRECTORY", "");
  EXPECT_EQ(session_directory("", true).value(), dir.file("state/ferry"));
  const variable no_user("XDG_STATE_HOME", std::nullopt);
  EXPECT_EQ(session_directory("", true).value(), dir.file("home/.local/state/ferry"));
  const variable no_home("HOME", std::nullopt);
  const auto none = session_directory("", true);
  EXPECT_EQ(none.error(), errc::bad_address);
  EXPECT_NE(none.error().text().find("dir"), std::string::npos);
}

TEST(session_directory, is_made_with_its_parents_only_when_asked_and_for_nobody_else) {
  const test::temp_dir dir;
  EXPECT_EQ(session_directory(dir.file("a/b/c"), false).error(), errc::not_found);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(session_directory(dir.file("a/b/c"), true));
  EXPECT_TRUE(session_directory(dir.file("a/b//d/"), true));
  for (const char* made : {"a", "a/b", "a/b/c", "a/b/d"}) {
    struct stat about {};
    ASSERT_EQ(::stat(dir.file(made).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0700u) << made;
  }
}

TEST(session_directory, says_what_is_in_its_way) {
  const test::temp_dir dir;
  std::ofstream(dir.file("file")) << "x";
  const auto found = session_directory(dir.file("file"), true);
  EXPECT_EQ(found.error(), errc::bad_address);
  EXPECT_NE(found.error().text().find("not a directory"), std::string::npos) << found.error().text();
  EXPECT_FALSE(session_directory(dir.file("file/below"), true));
}

TEST(sessions_in, a_directory_are_found_by_either_file_and_nothing_else_is) {
  const test::temp_dir dir;
  for (const char* name : {"b~x.session", "b~x.ring", "a~.ring", "a~y.session", "a~y.session.new", "a~z.mismatch",
                           "a~z.lock", "~x.session", "x.session", "a~b~c.ring", ".a~b.ring", "notes.txt"})
    std::ofstream(dir.file(name)) << "x";
  const std::vector<session_names> expected{{"a", ""}, {"a", "y"}, {"b", "x"}};
  EXPECT_EQ(sessions_in(dir.path()).value(), expected);
  EXPECT_EQ(count_sessions(dir.path(), "a"), 2u);
  EXPECT_TRUE(sessions_in(dir.file("none")).value().empty());
  EXPECT_EQ(count_sessions(dir.file("none"), "a"), 0u);
}

}  // namespace
}  // namespace ferry::os
