#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "testing/child.hpp"
#include "testing/splitter.hpp"
#include "testing/temp_dir.hpp"
#include "testing/virtual_clock.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

TEST(child, talks_over_its_pipes_and_ends_with_its_status) {
  child cat({"cat"});
  ASSERT_TRUE(cat.write("one\ntwo\nrest"));
  EXPECT_EQ(cat.read_line(), "one");
  EXPECT_EQ(cat.read_line(), "two");
  EXPECT_EQ(cat.finish(), 0);
  EXPECT_EQ(cat.output(), "rest");
  EXPECT_EQ(cat.read_line(), std::nullopt);
}

TEST(child, reports_the_signal_that_ended_it) {
  child cat({"cat"});
  EXPECT_TRUE(cat.kill(SIGKILL));
  EXPECT_EQ(cat.wait(), 128 + SIGKILL);
  EXPECT_FALSE(cat.kill(SIGKILL));
}

TEST(child, that_runs_on_gives_no_status_and_is_gone_after_the_destructor) {
  pid_t pid = 0;
  {
    child cat({"cat"});
    pid = cat.pid();
    EXPECT_EQ(cat.wait(child::duration::zero()), std::nullopt);
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(child, that_cannot_be_started_ends_with_127) { EXPECT_EQ(child({"/no/such/program"}).wait(), 127); }

TEST(child, gets_descriptors_from_3_on_and_its_own_pid_as_listen_pid) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_EQ(::write(pipe[1], "handed over", 11), 11);
  ::close(pipe[1]);
  child shell({"sh", "-c", "test \"$LISTEN_PID\" = $$ && test \"$COLOUR\" = blue && cat <&3"},
              {.environment = {"COLOUR=blue"}, .descriptors = {pipe[0]}, .listen_pid = true});
  ::close(pipe[0]);
  EXPECT_EQ(shell.finish(), 0);
  EXPECT_EQ(shell.output(), "handed over");
}

TEST(child, may_fill_both_outputs_beyond_a_pipe) {
  child shell({"sh", "-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3"});
  EXPECT_EQ(shell.finish(), 3);
  EXPECT_EQ(shell.output().size(), 300'000u);
  EXPECT_EQ(shell.error_output().size(), 300'000u);
}

TEST(run_until, sees_what_handlers_and_other_threads_change) {
  boost::asio::io_context io;
  int handled = 0;
  for (int i = 0; i < 3; ++i) boost::asio::post(io, [&handled] { ++handled; });
  EXPECT_TRUE(run_until(
      io, [&] { return handled == 2; }, "the second handler"));
  EXPECT_EQ(handled, 2);
  EXPECT_TRUE(run_until(
      io, [&] { return handled == 3; }, "the third handler"));
  event changed;
  std::thread other([&changed] { changed.set(); });
  EXPECT_TRUE(run_until(
      io, [&] { return changed.is_set(); }, "the other thread"));
  other.join();
}

TEST(run_until, says_what_it_waited_for_in_vain) {
  boost::asio::io_context io;
  const auto outcome = run_until(
      io, [] { return false; }, "a miracle", std::chrono::seconds(0));
  EXPECT_FALSE(outcome);
  EXPECT_STREQ(outcome.message(), "gave up after 0 s waiting for: a miracle");
}

TEST(temp_dir, exists_alone_and_goes_with_all_that_is_in_it) {
  std::filesystem::path path;
  {
    const temp_dir one;
    const temp_dir two;
    EXPECT_NE(one.path(), two.path());
    path = one.path();
    std::filesystem::create_directory(path / "inner");
    std::ofstream(one.file("inner/file")) << "text";
    EXPECT_TRUE(std::filesystem::is_regular_file(path / "inner/file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(splitter, visits_every_cut_every_piece_size_and_every_corruption_once) {
  const auto wire = make_bytes("abcd");
  std::set<std::size_t> heads;
  for_every_cut(wire, [&](bytes head, bytes tail) {
    EXPECT_EQ(std::string(as_text(head)) + std::string(as_text(tail)), "abcd");
    heads.insert(head.size());
  });
  EXPECT_EQ(heads.size(), 5u);

  std::vector<std::size_t> piece_counts;
  for_every_piece_size(wire, [&](const std::vector<bytes>& pieces) {
    std::string joined;
    for (const bytes piece : pieces) joined += as_text(piece);
    EXPECT_EQ(joined, "abcd");
    piece_counts.push_back(pieces.size());
  });
  EXPECT_EQ(piece_counts, (std::vector<std::size_t>{4, 2, 2, 1}));

  std::set<std::string> damaged;
  for_every_corruption(wire, [&](bytes copy, std::size_t at) {
    EXPECT_NE(copy[at], wire[at]);
    damaged.emplace(as_text(copy));
  });
  EXPECT_EQ(damaged.size(), 4u * 255);
}

TEST(virtual_clock, moves_only_when_told_and_never_back) {
  virtual_clock clock;
  const auto start = clock.now();
  EXPECT_NE(start.time_since_epoch().count(), 0);
  EXPECT_EQ(clock.advance(std::chrono::seconds(2)), start + std::chrono::seconds(2));
  EXPECT_EQ(clock.advance_to(start), start + std::chrono::seconds(2));
  EXPECT_EQ(clock.now(), start + std::chrono::seconds(2));
}

}  // namespace
}  // namespace ferry::test
