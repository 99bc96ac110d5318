#include "apps/ferry/settings.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "apps/ferry/program_under_test.hpp"

namespace {

using ferry::get_option;
using ferry::app::channel_flags;
using ferry::app::options_from;

/// A variable of this process's environment, for as long as a test needs it.
class environment_variable {
 public:
  environment_variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~environment_variable() { ::unsetenv(name_); }
  environment_variable(const environment_variable&) = delete;
  environment_variable& operator=(const environment_variable&) = delete;

 private:
  const char* name_;
};

TEST(settings, let_the_command_line_win_over_the_environment_over_the_file_over_the_defaults) {
  const ferry::test::temp_dir directory;
  const auto file = directory.file("ferry.toml");
  ferry::app::test::write_file(file, "backlog = 1\nspin = '1us'\nmax_message = '1KiB'\n");
  const environment_variable backlog("FERRY_BACKLOG", "2");
  const environment_variable spin("FERRY_SPIN", "2us");
  ferry::options defaults;
  defaults.reconnect = true;

  const auto all = options_from({.sets = {"backlog=3", "backlog=4"}, .config = file}, defaults);
  ASSERT_TRUE(all) << all.error().text();
  EXPECT_EQ(get_option(*all, "backlog"), "4");
  EXPECT_EQ(get_option(*all, "spin"), "2us");
  EXPECT_EQ(get_option(*all, "max_message"), "1KiB");
  EXPECT_EQ(get_option(*all, "reconnect"), "on");
}

TEST(settings, warn_of_a_variable_whose_name_is_nearly_that_of_an_option) {
  const environment_variable wrong("FERRY_MAX_MESAGE", "1KiB");
  const environment_variable fine("FERRY_MAX_MESSAGE", "1KiB");
  const environment_variable other("FERRY_SOMETHING_ELSE", "1");
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(options_from({}));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "ferry: environment variable FERRY_MAX_MESAGE sets nothing: unknown option 'max_mesage', did you mean "
            "'max_message'?\n");
}

TEST(settings, take_hyphens_capitals_and_values_with_an_equals_sign) {
  const auto all = options_from({.sets = {"Max-Message=2KiB", "socket_owner=a=b:c"}});
  ASSERT_TRUE(all) << all.error().text();
  EXPECT_EQ(get_option(*all, "max_message"), "2KiB");
  EXPECT_EQ(get_option(*all, "socket_owner"), "a=b:c");
}

TEST(settings, say_what_is_wrong_and_what_to_write) {
  const auto text_of = [](const channel_flags& flags) {
    const auto all = options_from(flags);
    return all ? "no error" : all.error().text();
  };
  EXPECT_EQ(text_of({.sets = {"max_message"}}), "-o max_message: write NAME=VALUE, for example -o max_message=10MiB");
  EXPECT_EQ(text_of({.sets = {"nonsense"}}), "-o nonsense: write NAME=VALUE, for example -o max_message=1MiB");
  EXPECT_EQ(text_of({.sets = {"max_message=0"}}), "-o: max_message=0: must be 1 .. 1GiB");
  EXPECT_TRUE(text_of({.sets = {"max_mesage=1"}})
                  .starts_with("-o: unknown option 'max_mesage', did you mean 'max_message'? Known options: "));
  EXPECT_EQ(text_of({.config = "/nowhere/ferry.toml"}),
            "--config: open /nowhere/ferry.toml: No such file or directory");
  const environment_variable backlog("FERRY_BACKLOG", "many");
  EXPECT_TRUE(text_of({}).starts_with("environment variable FERRY_BACKLOG: backlog=many: ")) << text_of({});
}

}  // namespace
