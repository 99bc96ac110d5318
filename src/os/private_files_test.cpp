#include "os/private_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
}

class private_files : public ::testing::Test {
 protected:
  const test::temp_dir dir;
  const std::string home = dir.file("a/b"), file = home + "/ring";
};

TEST_F(private_files, lie_in_a_directory_that_is_made_with_its_parents_and_closed_to_others) {
  ASSERT_TRUE(make_private_directory(home, own_uid()));
  EXPECT_EQ(mode_of(home), 0700u);
  ASSERT_EQ(::chmod(home.c_str(), 0777), 0);
  ASSERT_TRUE(make_private_directory(home, own_uid()));
  EXPECT_EQ(mode_of(home), 0700u);
}

TEST_F(private_files, do_not_lie_behind_a_link_or_in_a_file) {
  ASSERT_EQ(::symlink(dir.path().c_str(), dir.file("link").c_str()), 0);
  EXPECT_FALSE(make_private_directory(dir.file("link"), own_uid()));
  std::ofstream(dir.file("file")) << "x";
  EXPECT_FALSE(make_private_directory(dir.file("file"), own_uid()));
}

TEST_F(private_files, are_filled_before_they_have_their_name_and_stay_when_they_are_mapped_again) {
  ASSERT_TRUE(make_private_directory(home, own_uid()));
  EXPECT_EQ(map_private_file(file, 8192, own_uid()).error(), errc::not_found);
  {
    const auto made = replace_private_file(file, 8192, own_uid(), [&](std::span<std::byte> all) {
      EXPECT_NE(::access(file.c_str(), F_OK), 0);
      std::memcpy(all.data(), "begun", 5);
    });
    ASSERT_TRUE(made) << made.error().text();
  }
  EXPECT_EQ(mode_of(file), 0600u);
  const auto again = map_private_file(file, 8192, own_uid());
  ASSERT_TRUE(again);
  EXPECT_EQ(std::memcmp(again->at.data(), "begun", 5), 0);
  EXPECT_EQ(map_private_file(file, 4096, own_uid()).error().text(),
            file + " has 8192 bytes, the configuration says 4096");
}

TEST_F(private_files, that_are_replaced_stay_with_whoever_has_them) {
  ASSERT_TRUE(make_private_directory(home, own_uid()));
  const auto fill = [](char with) {
    return [with](std::span<std::byte> all) { std::memset(all.data(), with, all.size()); };
  };
  const auto old = replace_private_file(file, 4096, own_uid(), fill('o'));
  std::ofstream(file + ".new") << "of one who died";
  const auto fresh = replace_private_file(file, 4096, own_uid(), fill('n'));
  ASSERT_TRUE(old && fresh);
  EXPECT_EQ(static_cast<char>(old->at.data()[4095]), 'o');
  EXPECT_EQ(static_cast<char>(map_private_file(file, 4096, own_uid())->at.data()[4095]), 'n');
  EXPECT_NE(::access((file + ".new").c_str(), F_OK), 0);
}

// The directory belongs to somebody who can do what he likes with all that is in it.
TEST_F(private_files, that_are_cut_off_while_they_are_made_or_later_end_nobody) {
  ASSERT_TRUE(make_private_directory(home, own_uid()));
  const auto made = replace_private_file(file, 8192, own_uid(), [&](std::span<std::byte> all) {
    ASSERT_EQ(::truncate((file + ".new").c_str(), 0), 0);
    std::memset(all.data(), 'x', all.size());
  });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), errc::corrupt);
  EXPECT_EQ(id_at(file), std::nullopt);
  EXPECT_EQ(id_at(file + ".new"), std::nullopt);
  const auto whole = replace_private_file(file, 8192, own_uid(), [](std::span<std::byte>) {});
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->id, id_at(file));
  const auto again = map_private_file(file, 8192, own_uid());
  ASSERT_EQ(::truncate(file.c_str(), 4096), 0);
  for (const auto* one : {&*whole, &*again}) {
    EXPECT_EQ(one->span()[5000], std::byte{});
    EXPECT_TRUE(one->guard->torn());
  }
}

}  // namespace
}  // namespace ferry::os
