#include "apps/ferry/pid_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "apps/ferry/program_under_test.hpp"

namespace ferry::app {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(pid_file, is_for_one_process_at_a_time_and_goes_with_it) {
  const ferry::test::temp_dir place;
  const auto path = place.file("gateway.pid");
  {
    const auto first = pid_file::take(path);
    ASSERT_TRUE(first) << first.error().text();
    EXPECT_EQ(content_of(path), std::to_string(::getpid()) + "\n");
    const auto second = pid_file::take(path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), errc::busy);
    EXPECT_NE(second.error().text().find(std::to_string(::getpid())), std::string::npos) << second.error().text();
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(pid_file, of_a_dead_process_is_taken_over) {
  const ferry::test::temp_dir place;
  const auto path = place.file("gateway.pid");
  test::write_file(path, "999999999 and more\n");
  const auto mine = pid_file::take(path);
  ASSERT_TRUE(mine);
  EXPECT_EQ(content_of(path), std::to_string(::getpid()) + "\n");
}

TEST(pid_file, that_cannot_be_written_says_which) {
  const auto none = pid_file::take("/nonexistent/gateway.pid");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().text().find("/nonexistent/gateway.pid"), std::string::npos);
}

TEST(pid_file, that_has_no_room_is_not_left_behind_without_a_number) {
  const ferry::test::temp_dir place;
  const auto path = place.file("gateway.pid");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto on_signal = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit nothing{0, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &nothing);
  const auto none = pid_file::take(path);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, on_signal);
  EXPECT_FALSE(none);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace ferry::app
