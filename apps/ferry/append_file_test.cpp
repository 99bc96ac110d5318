#include "apps/ferry/append_file.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "apps/ferry/program_under_test.hpp"

namespace {

using namespace ferry;
using namespace ferry::app;

constexpr std::uint64_t k_session = 7;

class file_that_grows : public ::testing::Test {
 protected:
  /// As after a start of the program.
  void open(std::optional<file_position> kept = {}, std::uint64_t session = k_session) {
    file_.reset();
    auto opened = append_file::open(path_);
    ASSERT_TRUE(opened) << opened.error().text();
    file_ = std::move(*opened);
    resumed_ = file_->resume(kept, session);
  }
  file_position commit() {
    const auto position = file_->written().value();
    file_->committed(position);
    return position;
  }
  [[nodiscard]] append_file& file() { return *file_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string content() const { return app::test::content_of(path_); }
  [[nodiscard]] const result<void>& resumed() const { return resumed_; }
  void write_elsewhere(const std::string& text) { app::test::write_file(path_, text); }

 private:
  ferry::test::temp_dir directory_;
  std::string path_ = directory_.file("copy");
  std::optional<append_file> file_;
  result<void> resumed_;
};

TEST_F(file_that_grows, keeps_what_was_committed_and_cuts_off_the_rest) {
  open();
  ASSERT_TRUE(resumed());
  ASSERT_TRUE(file().write(as_bytes("one\n")));
  const auto kept = commit();
  ASSERT_TRUE(file().write(as_bytes("two\n")));
  EXPECT_EQ(content(), "one\ntwo\n");
  open(kept);
  EXPECT_TRUE(resumed());
  EXPECT_EQ(content(), "one\n");
  ASSERT_TRUE(file().write(as_bytes("2\n")));
  EXPECT_EQ(content(), "one\n2\n");
  file().roll_back();
  EXPECT_EQ(content(), "one\n");
}

TEST_F(file_that_grows, is_cut_to_nothing_if_only_the_beginning_was_committed) {
  open();
  const auto begun = file().position();
  ASSERT_TRUE(file().write(as_bytes("one\n")));
  open(begun);
  EXPECT_TRUE(resumed());
  EXPECT_EQ(content(), "");
}

TEST_F(file_that_grows, is_not_taken_over_from_somebody_else) {
  write_elsewhere("mine\n");
  open();
  ASSERT_EQ(resumed().error(), errc::corrupt);
  EXPECT_NE(resumed().error().text().find("5 bytes that this session has not written"), std::string::npos);
  EXPECT_EQ(content(), "mine\n");
}

TEST_F(file_that_grows, is_not_taken_over_from_an_earlier_session) {
  open();
  ASSERT_TRUE(file().write(as_bytes("one\n")));
  const auto kept = commit();
  open(kept, k_session + 1);
  EXPECT_EQ(resumed().error(), errc::corrupt);
  EXPECT_EQ(content(), "one\n");
}

TEST_F(file_that_grows, must_have_what_was_committed) {
  open();
  ASSERT_TRUE(file().write(as_bytes("one\ntwo\n")));
  const auto kept = commit();
  for (const auto* other : {"", "one\ntw", "one\ntwe\n"}) {
    write_elsewhere(other);
    open(kept);
    EXPECT_EQ(resumed().error(), errc::corrupt) << other;
    EXPECT_EQ(content(), other);
  }
}

TEST_F(file_that_grows, has_one_writer) {
  open();
  EXPECT_EQ(append_file::open(path()).error(), errc::busy);
}

TEST_F(file_that_grows, is_a_regular_file) {
  EXPECT_EQ(append_file::open("/dev/null").error(), errc::bad_address);
  EXPECT_FALSE(append_file::open("/no/such/folder/file"));
}

}  // namespace
