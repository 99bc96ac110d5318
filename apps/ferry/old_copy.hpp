#pragma once
/// What operators do for a side of a session that has an old copy of its files, for tests of the commands.

#include <csignal>
#include <filesystem>
#include <string>

#include "apps/ferry/program_under_test.hpp"

namespace ferry::app::test {

/// Alice has sent one message, and a second one that an old copy of her files does not know of: a login with that is
/// noted, accept-remote mends it, and they talk on.
/// @param bob  answers her @param at  where alice sends to @param numbers  that `ferry session show` says of the login
inline void expect_that_an_old_copy_is_mended(const ferry::test::temp_dir& dir, listening_program& bob,
                                              const std::string& at, const std::string& numbers) {
  const auto send = [&](const std::string& text) {
    return ferry_call({"send", at + "&reconnect_base=5ms", "-m", text, "--wait", "0", "--expect-echo"});
  };
  const auto sends = [&](const std::string& text) { return ferry::test::child(send(text)).finish(); };
  ASSERT_EQ(sends("one"), 0);
  std::filesystem::copy(dir.file("alice"), dir.file("backup"));
  ASSERT_EQ(sends("two"), 0);
  std::filesystem::remove_all(dir.file("alice"));
  std::filesystem::rename(dir.file("backup"), dir.file("alice"));
  {
    ferry::test::child refused(send("has the number of two"));
    std::string seen;
    for (int looks = 0; looks < 1000 && seen.find("\nmismatch ") == seen.npos; ++looks)
      seen = run_ferry({"session", "show", "--dir", dir.file("alice")}).out;
    EXPECT_NE(seen.find(numbers), seen.npos) << seen;
    refused.kill(SIGKILL);
    EXPECT_EQ(refused.wait(), 128 + SIGKILL);
  }
  const auto mended = run_ferry({"session", "accept-remote", "--yes", "--dir", dir.file("alice")});
  EXPECT_EQ(mended.status, 0) << mended.err;
  EXPECT_EQ(sends("three"), 0) << "they talk on";
  EXPECT_EQ(bob.stop().status, 0);
}

}  // namespace ferry::app::test
