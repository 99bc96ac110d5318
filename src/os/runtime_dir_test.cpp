#include "os/runtime_dir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

/// Sets a variable of the environment, and what it was again in the end.
class variable {
 public:
  variable(const char* name, const std::string& value) : name_(name) {
    if (const char* const was = std::getenv(name)) was_ = was;
    ::setenv(name, value.c_str(), 1);
  }
  ~variable() { was_ ? ::setenv(name_, was_->c_str(), 1) : ::unsetenv(name_); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> was_;
};

TEST(runtime_directory, is_what_the_option_says_before_anything_else) {
  const test::temp_dir dir;
  const variable systemd("RUNTIME_DIRECTORY", "/nonexistent");
  const auto found = runtime_directory(dir.path(), false);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(*found, dir.path());
}

TEST(runtime_directory, is_the_first_one_of_the_service_manager_before_the_users) {
  const test::temp_dir dir;
  const variable user("XDG_RUNTIME_DIR", dir.file("user"));
  {
    const variable systemd("RUNTIME_DIRECTORY", dir.path().string() + ":/other");
    EXPECT_EQ(runtime_directory("", false).value(), dir.path());
  }
  const variable none("RUNTIME_DIRECTORY", "");
  ASSERT_EQ(::mkdir(dir.file("user").c_str(), 0700), 0);
  EXPECT_EQ(runtime_directory("", true).value(), dir.file("user/ferry"));
  EXPECT_EQ(runtime_directory("", false).value(), dir.file("user/ferry"));
}

TEST(runtime_directory, is_made_only_when_asked_and_only_one_level) {
  const test::temp_dir dir;
  EXPECT_EQ(runtime_directory(dir.file("a"), false).error(), errc::not_found);
  EXPECT_EQ(runtime_directory(dir.file("a/b"), true).error(), errc::not_found);
  ASSERT_TRUE(runtime_directory(dir.file("a"), true));
  struct stat about {};
  ASSERT_EQ(::stat(dir.file("a").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 077, 0u);
}

TEST(runtime_directory, says_what_is_in_its_way) {
  const test::temp_dir dir;
  std::ofstream(dir.file("file")) << "x";
  const auto found = runtime_directory(dir.file("file"), true);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error(), errc::bad_address);
  EXPECT_NE(found.error().text().find("not a directory"), std::string::npos) << found.error().text();
}

}  // namespace
}  // namespace ferry::os
