#include "os/random.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

namespace ferry::os {
namespace {

TEST(random_portions, are_each_given_once) {
  random_portions portions;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(seen.insert(portions.next<std::uint64_t>()).second);
}

TEST(random_portions, differ_in_a_child_of_a_fork_from_those_of_its_parent) {
  random_portions portions;
  (void)portions.next<std::uint32_t>();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  std::array<std::uint64_t, 8> mine{};
  for (auto& one : mine) one = portions.next<std::uint64_t>();
  if (child == 0) ::_exit(::write(ends[1], mine.data(), sizeof mine) == sizeof mine ? 0 : 1);
  decltype(mine) its{};
  EXPECT_EQ(::read(ends[0], its.data(), sizeof its), static_cast<ssize_t>(sizeof its));
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (std::size_t i = 0; i < mine.size(); ++i) EXPECT_NE(mine[i], its[i]) << i;
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace ferry::os
