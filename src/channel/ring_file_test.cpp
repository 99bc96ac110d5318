#include <ferry/ring_file.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "testing/failure_of.hpp"
#include "testing/temp_dir.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

class ring_file : public ::testing::Test {
 protected:
  ring_file() { with.ring_bytes = 8192; }
  static std::string take(ring_reader& from) {
    const auto record = from.front();
    std::string text(as_text(record.body()));
    if (record) from.pop();
    return record ? text : "(nothing)";
  }
  bool push(ring_writer& to, const std::string& text) { return to.try_push(as_bytes(text)); }

  test::temp_dir dir;
  std::string path = dir.file("ring");
  options with;
};

TEST_F(ring_file, keeps_records_when_both_ends_are_gone) {
  {
    auto out = ring_writer::open(path, with);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(push(out, std::to_string(i)));
    EXPECT_FALSE(out.reader_lives());
  }
  {
    auto out = ring_writer::open(path, with);
    ASSERT_TRUE(push(out, "3"));
  }
  auto in = ring_reader::open(path);
  EXPECT_FALSE(in.writer_lives());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(take(in), std::to_string(i));
  EXPECT_EQ(take(in), "(nothing)");
}

TEST_F(ring_file, goes_round_and_round_over_many_lives) {
  std::uint64_t written = 0, read = 0;
  for (int life = 0; life < 50; ++life) {
    {
      auto out = ring_writer::open(path, with);
      while (push(out, std::to_string(written) + std::string(written % 300, 'x'))) ++written;
    }
    auto in = ring_reader::open(path);
    for (int i = 0; i < 20 && read < written; ++i, ++read)
      ASSERT_EQ(take(in), std::to_string(read) + std::string(read % 300, 'x'));
    in.give_back();
  }
  EXPECT_GT(read, 900u);
}

TEST_F(ring_file, reads_again_what_a_reader_had_not_given_back) {
  auto out = ring_writer::open(path, with);
  ASSERT_TRUE(push(out, "a") && push(out, "b"));
  {
    auto in = ring_reader::open(path);
    EXPECT_EQ(take(in), "a");
  }
  {
    auto in = ring_reader::open(path);
    EXPECT_EQ(take(in), "a");
    in.give_back();
  }
  auto in = ring_reader::open(path);
  EXPECT_EQ(take(in), "b");
}

TEST_F(ring_file, has_one_writer_and_one_reader_at_a_time) {
  auto out = ring_writer::open(path, with);
  const auto in = ring_reader::open(path);
  EXPECT_TRUE(out.reader_lives());
  EXPECT_TRUE(in.writer_lives());
  const auto second_writer = test::failure_of([&] { (void)ring_writer::open(path, with); });
  ASSERT_TRUE(second_writer);
  EXPECT_EQ(second_writer->reason(), errc::busy);
  const auto second_reader = test::failure_of([&] { (void)ring_reader::open(path); });
  ASSERT_TRUE(second_reader);
  EXPECT_EQ(second_reader->reason(), errc::busy);
}

TEST_F(ring_file, belongs_to_nobody_once_its_writer_was_killed) {
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto out = ring_writer::open(path, with);
    const bool pushed = push(out, "from the dead");
    (void)!::write(told[1], pushed ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char pushed = 0;
  ASSERT_EQ(::read(told[0], &pushed, 1), 1);
  EXPECT_EQ(pushed, 'y');
  auto in = ring_reader::open(path);
  EXPECT_TRUE(in.writer_lives());
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(told[0]);
  ::close(told[1]);
  EXPECT_FALSE(in.writer_lives());
  auto out = ring_writer::open(path, with);
  ASSERT_TRUE(push(out, "from its heir"));
  EXPECT_EQ(take(in), "from the dead");
  EXPECT_EQ(take(in), "from its heir");
}

TEST_F(ring_file, survives_being_cut_off_while_it_is_read) {
  auto out = ring_writer::open(path, with);
  while (push(out, std::string(500, 'x'))) {
  }
  auto in = ring_reader::open(path);
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  for (int i = 0; i < 100 && in.front(); ++i) in.pop();
  EXPECT_TRUE(in.damaged());
  EXPECT_TRUE(in.wait(1s));
  (void)push(out, "x");
  EXPECT_FALSE(out.wait_for_room(1ms));
  EXPECT_TRUE(out.damaged());
}

TEST_F(ring_file, says_what_is_wrong_with_a_file_and_leaves_it_alone) {
  const auto of_reader = [&] { return test::failure_of([&] { (void)ring_reader::open(path); }); };
  EXPECT_EQ(of_reader()->reason(), errc::not_found);
  std::ofstream(path) << "short";
  EXPECT_EQ(of_reader()->reason(), errc::truncated);
  std::ofstream(path) << std::string(20'000, 'x');
  EXPECT_EQ(of_reader()->reason(), errc::corrupt);
  EXPECT_EQ(test::failure_of([&] { (void)ring_writer::open(path, with); })->reason(), errc::corrupt);
  EXPECT_EQ(std::filesystem::file_size(path), 20'000u);
  std::filesystem::remove(path);
  (void)ring_writer::open(path, with);
  {
    std::fstream file(path);
    file.seekp(8);
    file.put('\x07');
  }
  EXPECT_EQ(of_reader()->reason(), errc::unsupported);
  {
    std::fstream file(path);
    file.seekp(8);
    file.put('\x01');
  }
  std::filesystem::resize_file(path, 12'000);
  EXPECT_EQ(of_reader()->reason(), errc::truncated);
  EXPECT_NE(std::string(of_reader()->what()).find(path), std::string::npos);
}

TEST_F(ring_file, says_that_its_records_are_damaged) {
  {
    auto out = ring_writer::open(path, with);
    ASSERT_TRUE(push(out, "a"));
  }
  {
    std::fstream file(path);
    file.seekp(8192 + 4);  // the sequence number of the first record
    file.put('\x55');
    file.seekp(8192 + 3);
    file.put('\x80');
  }
  EXPECT_EQ(test::failure_of([&] { (void)ring_reader::open(path); })->reason(), errc::corrupt);
}

TEST_F(ring_file, leaves_no_half_made_file_when_there_is_no_room) {
  with.ring_bytes = 1u << 30;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1u << 20, 1u << 20};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto why = test::failure_of([&] { (void)ring_writer::open(path, with); });
    ::_exit(why && why->reason() == errc::no_memory && std::filesystem::is_empty(dir.path()) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace ferry
