#include "apps/ferry/file_position.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "apps/ferry/program_under_test.hpp"
#include "os/unique_fd.hpp"

namespace {

using namespace ferry;
using namespace ferry::app;

class position_in_a_file : public ::testing::Test {
 protected:
  /// Opens it anew with this content.
  void write(const std::string& content) {
    app::test::write_file(path_, content);
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  }
  [[nodiscard]] file_position at(std::uint64_t offset) const {
    return {position_of::sender, 7, offset, tail_before(fd_.get(), offset, path_).value()};
  }
  [[nodiscard]] result<void> check(const file_position& position) const {
    return check_position(fd_.get(), position, path_);
  }

 private:
  ferry::test::temp_dir directory_;
  std::string path_ = directory_.file("text");
  os::unique_fd fd_;
};

TEST_F(position_in_a_file, comes_back_from_a_state_as_it_was) {
  const file_position kept{position_of::receiver, 0x1122334455667788, 5'000'000'000, 42};
  EXPECT_EQ(decode_position(encode(kept), position_of::receiver).value(), kept);
  EXPECT_EQ(decode_position({}, position_of::receiver).value(), std::nullopt);
}

TEST_F(position_in_a_file, is_nobody_elses_state) {
  const auto state = encode({position_of::sender, 1, 2, 3});
  EXPECT_EQ(decode_position(state, position_of::receiver).error(), errc::unsupported);
  EXPECT_EQ(decode_position(as_bytes("1234"), position_of::sender).error(), errc::unsupported);
  for (std::size_t i = 0; i < 16; ++i) {
    auto other = state;
    other[i] ^= std::byte{1};
    EXPECT_EQ(decode_position(other, position_of::sender).error(), errc::unsupported) << "byte " << i;
  }
}

TEST_F(position_in_a_file, fits_as_long_as_the_file_only_grows) {
  write("one\ntwo\n");
  const auto kept = at(4);
  const auto end = at(8);
  write("one\ntwo\nthree\n");
  EXPECT_TRUE(check(kept));
  EXPECT_TRUE(check(end));
  EXPECT_TRUE(check(at(0)));
}

TEST_F(position_in_a_file, does_not_fit_a_file_that_was_cut_off_or_replaced) {
  write("one\ntwo\n");
  const auto kept = at(4);
  write("one");
  const auto shorter = check(kept);
  ASSERT_EQ(shorter.error(), errc::corrupt);
  EXPECT_NE(shorter.error().text().find("4 bytes of it were sent already, and it is shorter now"), std::string::npos);
  write("ond\ntwo\n");
  EXPECT_EQ(check(kept).error(), errc::corrupt);
  write("");
  EXPECT_EQ(check(kept).error(), errc::corrupt);
}

TEST_F(position_in_a_file, looks_at_the_bytes_before_it_and_no_others) {
  std::string text(1000, 'x');
  write(text);
  const auto kept = at(600);
  for (const std::size_t seen : {600 - file_position::k_looked_at, std::size_t{599}}) {
    auto other = text;
    other[seen] = 'y';
    write(other);
    EXPECT_EQ(check(kept).error(), errc::corrupt) << seen;
  }
  text[0] = text[600 - file_position::k_looked_at - 1] = text[600] = 'y';
  write(text);
  EXPECT_TRUE(check(kept));
}

}  // namespace
