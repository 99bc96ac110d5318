#include "os/pipe_lock.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

TEST(pipe_lock, is_held_by_one_at_a_time_and_free_when_that_one_goes) {
  const test::temp_dir dir;
  const auto path = dir.file("client.lock0");
  EXPECT_EQ(pipe_lock::held(path).value(), false);
  EXPECT_FALSE(std::filesystem::exists(path)) << "asking makes no file";
  {
    const auto lock = pipe_lock::try_acquire(path);
    ASSERT_TRUE(lock) << lock.error().text();
    EXPECT_EQ(pipe_lock::held(path).value(), true);
    const auto other = pipe_lock::try_acquire(path);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error(), errc::busy);
    EXPECT_NE(other.error().text().find(path), std::string::npos);
  }
  EXPECT_EQ(pipe_lock::held(path).value(), false);
  EXPECT_TRUE(pipe_lock::try_acquire(path));
}

TEST(pipe_lock, tells_who_holds_it_where_that_can_be_seen) {
  const test::temp_dir dir;
  const auto path = dir.file("client.lock0");
  EXPECT_EQ(pipe_lock::holder(path), 0);
  const auto lock = pipe_lock::try_acquire(path);
  ASSERT_TRUE(lock);
  const auto who = pipe_lock::holder(path);
  EXPECT_TRUE(who == ::getpid() || who == 0) << who;
}

TEST(pipe_lock, keeps_its_content_for_who_comes_next) {
  const test::temp_dir dir;
  const auto path = dir.file("client.lock1");
  {
    const auto lock = pipe_lock::try_acquire(path).value();
    EXPECT_EQ(lock.read(64).value(), "");
    ASSERT_TRUE(lock.write("1234567 1700000000"));
    ASSERT_TRUE(lock.write("7 1700000060"));
    EXPECT_EQ(lock.read(64).value(), "7 1700000060");
  }
  struct stat what {};
  ASSERT_EQ(::stat(path.c_str(), &what), 0);
  EXPECT_EQ(what.st_mode & 0777, 0600u);
  const auto next = pipe_lock::try_acquire(path).value();
  EXPECT_EQ(next.read(64).value(), "7 1700000060");
  EXPECT_EQ(next.read(3).value(), "7 1");
}

TEST(pipe_lock, does_not_write_into_a_file_that_nobody_finds_any_more) {
  const test::temp_dir dir;
  const auto path = dir.file("client.lock0");
  const auto lock = pipe_lock::try_acquire(path).value();
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_EQ(lock.write("7 1").error(), errc::closed);
  std::ofstream(path) << "8 2";
  EXPECT_EQ(lock.write("7 1").error(), errc::closed);
  EXPECT_TRUE(pipe_lock::try_acquire(path)) << "the other file is free";
}

TEST(pipe_lock, is_refused_where_the_path_is_no_plain_file) {
  const test::temp_dir dir;
  EXPECT_FALSE(pipe_lock::try_acquire(dir.path().string()));
  std::filesystem::create_symlink("elsewhere", dir.path() / "link");
  EXPECT_FALSE(pipe_lock::try_acquire(dir.file("link")));
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "elsewhere"));
  EXPECT_EQ(pipe_lock::try_acquire(dir.file("no/such/folder")).error(), errc::not_found);
}

}  // namespace
}  // namespace ferry::os
