#include "os/operator_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(operator_files, writes_reports_for_their_owner_in_place_of_what_was_there) {
  const test::temp_dir place;
  const auto path = place.file("x.prof"), target = place.file("target");
  std::ofstream(target) << "precious";
  std::filesystem::create_symlink(target, path);
  ASSERT_TRUE(write_report(path, "one"));
  ASSERT_TRUE(write_report(path, "two"));
  EXPECT_EQ(content_of(path), "two");
  EXPECT_EQ(content_of(target), "precious") << "a symbolic link is not followed";
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  const auto nowhere = write_report(place.file("not/there"), "");
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().text().find("not/there"), std::string::npos);
}

TEST(operator_files, takes_requests_from_its_user_and_from_nobody_else) {
  const test::temp_dir place;
  const auto path = place.file("x.cmd");
  EXPECT_EQ(read_request(path).error(), errc::not_found);
  std::ofstream(path) << "do it\n";
  EXPECT_EQ(read_request(path).value(), "do it\n");
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_EQ(read_request(path).error(), errc::auth) << "everybody can write it";
  std::filesystem::create_symlink(path, place.file("link"));
  EXPECT_FALSE(read_request(place.file("link")));
  ASSERT_EQ(::mkfifo(place.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_request(place.file("pipe")).error(), errc::auth) << "and it does not wait";
  std::ofstream(place.file("large")) << std::string(65537, 'x');
  EXPECT_EQ(read_request(place.file("large")).error(), errc::auth);
}

TEST(operator_files, reads_options_from_whatever_can_be_read_up_to_their_limit) {
  const test::temp_dir place;
  const auto path = place.file("options");
  EXPECT_EQ(read_options(path).error(), errc::not_found);
  EXPECT_FALSE(read_options(place.path().string())) << "a directory";
  const std::string most(1 << 20, 'x');
  std::ofstream(path) << most;
  EXPECT_TRUE(read_options(path).value() == most);
  std::ofstream(path) << most + 'x';
  EXPECT_EQ(read_options(path).error(), errc::bad_option);
}

}  // namespace
}  // namespace ferry::os
