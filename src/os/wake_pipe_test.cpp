#include "os/wake_pipe.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "os/private_files.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

bool readable(const wake_pipe& one) {
  pollfd what{one.fd(), POLLIN, 0};
  return ::poll(&what, 1, 0) == 1;
}

TEST(wake_pipe, wakes_whoever_has_opened_it_and_outlives_either_side) {
  const test::temp_dir dir;
  const auto path = dir.file("bell");
  auto ours = wake_pipe::make(path, own_uid());
  ASSERT_TRUE(ours) << ours.error().text();
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  {
    const auto theirs = wake_pipe::open(path);
    ASSERT_TRUE(theirs) << theirs.error().text();
    EXPECT_FALSE(readable(*ours));
    theirs->ring();
  }
  EXPECT_TRUE(readable(*ours)) << "also when who rang has gone";
  ours->take();
  EXPECT_FALSE(readable(*ours));
  const auto again = wake_pipe::make(path, own_uid());
  ASSERT_TRUE(again);
  again->ring();
  EXPECT_TRUE(readable(*ours));
}

TEST(wake_pipe, never_blocks_when_it_is_rung_too_often_or_taken_in_vain) {
  const test::temp_dir dir;
  const auto one = wake_pipe::make(dir.file("bell"), own_uid());
  ASSERT_TRUE(one);
  one->take();
  for (int i = 0; i < 200'000; ++i) one->ring();
  EXPECT_TRUE(readable(*one));
  const auto other = wake_pipe::open(dir.file("bell"));
  ASSERT_TRUE(other);
  EXPECT_EQ(::fcntl(other->fd(), F_SETFL, 0), 0) << "what one side does to its own descriptor";
  while (readable(*one)) one->take();
  one->take();
}

TEST(wake_pipe, is_no_file_and_no_link) {
  const test::temp_dir dir;
  EXPECT_EQ(wake_pipe::open(dir.file("bell")).error(), errc::not_found);
  std::ofstream(dir.file("file")) << "x";
  EXPECT_EQ(wake_pipe::open(dir.file("file")).error(), errc::bad_address);
  EXPECT_FALSE(wake_pipe::make(dir.file("file"), own_uid()));
  ASSERT_TRUE(wake_pipe::make(dir.file("bell"), own_uid()));
  ASSERT_EQ(::symlink(dir.file("bell").c_str(), dir.file("link").c_str()), 0);
  EXPECT_FALSE(wake_pipe::open(dir.file("link")));
}

}  // namespace
}  // namespace ferry::os
