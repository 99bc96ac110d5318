#include "bench/child.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>

#include "bench/children_gone.hpp"
#include "os/unique_fd.hpp"

namespace ferry::bench {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void hang() {
  for (;;) ::pause();
}

TEST(child_group, runs_bodies_in_other_processes_that_share_memory) {
  shared<std::atomic<int>> sum;
  child_group children(2);
  for (const int part : {1, 2})
    ASSERT_TRUE(children.start("adder", std::nullopt, [&, part](child& me) {
      me.rendezvous();
      sum->fetch_add(part);
    }));
  EXPECT_TRUE(children.wait(20s));
  EXPECT_EQ(sum->load(), 3);
  EXPECT_TRUE(children_are_gone());
}

TEST(child_group, reports_who_failed_at_what_and_ends_the_others) {
  child_group children(2);
  ASSERT_TRUE(children.start("waiter", std::nullopt, [](child&) { hang(); }));
  ASSERT_TRUE(children.start("reader", std::nullopt, [](child& me) { me.check(::close(-1), "close"); }));
  const auto outcome = children.wait(20s);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().system_errno(), EBADF);
  EXPECT_EQ(outcome.error().text(), "the reader: close: Bad file descriptor");
  EXPECT_TRUE(children_are_gone());
}

TEST(child_group, passes_on_the_code_of_a_failure_that_no_system_call_reported) {
  child_group children(1);
  ASSERT_TRUE(children.start("checker", std::nullopt, [](child& me) { me.fail(errc::corrupt, "wrong bytes"); }));
  const auto outcome = children.wait(20s);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason(), errc::corrupt);
  EXPECT_EQ(outcome.error().text(), "the checker: wrong bytes");
}

TEST(child_group, passes_on_the_whole_text_of_what_a_body_throws) {
  const std::string text = "bind /run/a: " + std::string(400, '.') + " raise the limit";
  const auto outcome =
      run_together({{"waiter", std::nullopt, [](child&) { hang(); }},
                    {"thrower", std::nullopt, [&](child&) { throw failure(errc::busy, EMFILE, text); }}},
                   20s);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason(), errc::busy);
  EXPECT_EQ(outcome.error().text(), "the thrower: " + text);
  EXPECT_TRUE(children_are_gone());
}

TEST(child_group, notices_a_child_that_is_killed) {
  child_group children(1);
  ASSERT_TRUE(children.start("victim", std::nullopt, [](child&) { ::kill(::getpid(), SIGKILL); }));
  const auto outcome = children.wait(20s);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason(), errc::reset);
  EXPECT_TRUE(children_are_gone());
}

TEST(child_group, kills_what_does_not_end_in_time) {
  child_group children(1);
  ASSERT_TRUE(children.start("sleeper", std::nullopt, [](child&) { hang(); }));
  const auto outcome = children.wait(1ms);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason(), errc::timeout);
  EXPECT_TRUE(children_are_gone());
}

TEST(child_group, leaves_no_child_when_nobody_waits) {
  {
    child_group children(2);
    ASSERT_TRUE(children.start("sleeper", std::nullopt, [](child&) { hang(); }));
  }
  EXPECT_TRUE(children_are_gone());
}

TEST(child_group, says_so_when_a_core_does_not_exist) {
  child_group children(1);
  ASSERT_TRUE(children.start("traveller", 1'000'000, [](child&) {}));
  const auto outcome = children.wait(20s);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().system_errno(), EINVAL);
}

TEST(child_group, refuses_more_children_than_expected) {
  child_group children(1);
  ASSERT_TRUE(children.start("first", std::nullopt, [](child&) {}));
  const auto outcome = children.start("second", std::nullopt, [](child&) {});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason(), errc::misuse);
  EXPECT_TRUE(children.wait(20s));
}

TEST(child_group, its_children_die_with_a_parent_that_is_killed) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  os::unique_fd read_end(ends[0]);
  os::unique_fd write_end(ends[1]);
  const int parent = ::fork();
  if (parent == 0) {
    child_group children(1);
    const auto outcome = children.start("orphan", std::nullopt, [&](child&) {
      const int self = ::getpid();
      if (::write(write_end.get(), &self, sizeof self) == sizeof self) hang();
    });
    hang();
  }
  write_end.reset();
  int orphan = 0;
  ASSERT_EQ(::read(read_end.get(), &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);

  pollfd end_of_file{read_end.get(), POLLIN, 0};  // comes when the last holder of the other end is dead
  const int ready = ::poll(&end_of_file, 1, 20'000);
  EXPECT_EQ(ready, 1);
  if (ready != 1) ::kill(orphan, SIGKILL);
}

}  // namespace
}  // namespace ferry::bench
