#include "os/unix_listener.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "os/file_lock.hpp"
#include "os/readiness.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::os {
namespace {

namespace fs = std::filesystem;

TEST(unix_listener, removes_its_socket_and_its_lock_file_in_the_end) {
  const test::temp_dir dir;
  {
    const auto made = unix_listener::open(dir.file("s"), {});
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_TRUE(fs::is_socket(dir.file("s")));
    EXPECT_FALSE(fs::exists(dir.file("s.lock"))) << "held only for moments";
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(unix_listener, leaves_no_file_for_an_abstract_name_and_frees_it) {
  const test::temp_dir dir;
  const std::string name = "@" + dir.file("s");
  for (int round = 0; round < 2; ++round) {
    const auto made = unix_listener::open(name, {});
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(unix_listener::open(name, {}).error(), errc::address_in_use);
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(unix_listener, knows_whether_its_file_is_there) {
  const test::temp_dir dir;
  const auto made = unix_listener::open(dir.file("s"), {});
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->has_file());
  fs::rename(dir.file("s"), dir.file("elsewhere"));
  EXPECT_FALSE(made->has_file());
  const auto other = unix_listener::open(dir.file("s"), {});
  ASSERT_TRUE(other);
  EXPECT_FALSE(made->has_file()) << "that is another one's";
  EXPECT_TRUE(other->has_file());
  const auto nameless = unix_listener::open("@" + dir.file("s"), {});
  ASSERT_TRUE(nameless);
  EXPECT_TRUE(nameless->has_file());
}

TEST(unix_listener, closes_once_and_moves_with_its_file) {
  const test::temp_dir dir;
  auto made = unix_listener::open(dir.file("s"), {});
  ASSERT_TRUE(made);
  unix_listener moved = std::move(*made);
  EXPECT_LT(made->get(), 0);
  made->close();
  EXPECT_TRUE(fs::is_socket(dir.file("s")));
  moved.close();
  moved.close();
  EXPECT_FALSE(fs::exists(dir.file("s")));
}

TEST(unix_listener, gives_the_socket_the_owner_that_was_asked_for) {
  const test::temp_dir dir;
  options with;
  with.socket_owner = std::to_string(::getuid()) + ":" + std::to_string(::getgid());
  const auto made = unix_listener::open(dir.file("s"), with);
  ASSERT_TRUE(made) << made.error().text();
  struct stat there {};
  ASSERT_EQ(::stat(dir.file("s").c_str(), &there), 0);
  EXPECT_EQ(there.st_uid, ::getuid());
  EXPECT_EQ(there.st_gid, ::getgid());
}

TEST(unix_listener, tells_a_symbolic_link_in_place_of_the_lock) {
  const test::temp_dir dir;
  std::ofstream(dir.file("target")) << "x";
  fs::create_symlink(dir.file("target"), dir.file("s.lock"));
  const auto made = unix_listener::open(dir.file("s"), {});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text().find("s.lock"), std::string::npos);
  EXPECT_TRUE(fs::exists(dir.file("target")));
}

TEST(unix_listener, waits_for_no_lock_of_somebody_who_may_hold_it_for_ever) {
  const test::temp_dir dir;
  const auto path = dir.file("s");
  using lock_of = unix_listener::lock_of;
  auto made = unix_listener::open(path, {}, lock_of::anybody);
  ASSERT_TRUE(made) << made.error().text();
  {
    const auto held = file_lock::try_acquire(path + ".lock");
    ASSERT_TRUE(held);
    EXPECT_EQ(file_lock::try_acquire(path + ".lock").error(), errc::busy);
    EXPECT_EQ(unix_listener::open(path, {}, lock_of::anybody).error(), errc::busy);
    made->close();
    EXPECT_TRUE(fs::exists(path)) << "left to who comes next";
  }
  auto next = unix_listener::open(path, {}, lock_of::anybody);
  ASSERT_TRUE(next) << next.error().text();
  next->close();
  EXPECT_FALSE(fs::exists(path));
}

TEST(file_lock, is_held_by_one_at_a_time_and_its_file_goes) {
  const test::temp_dir dir;
  const std::string path = dir.file("lock");
  int inside = 0;
  int most = 0;
  std::mutex guard;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto lock = file_lock::acquire(path);
        ASSERT_TRUE(lock);
        {
          const std::lock_guard count(guard);
          most = std::max(most, ++inside);
        }
        std::this_thread::yield();
        const std::lock_guard count(guard);
        --inside;
      }
    });
  for (auto& one : threads) one.join();
  EXPECT_EQ(most, 1);
  EXPECT_FALSE(fs::exists(path));
}

TEST(readiness, is_raised_and_lowered_any_number_of_times) {
  const auto made = readiness::make();
  ASSERT_TRUE(made);
  const auto readable = [&] {
    std::uint64_t count = 0;
    // Looks without taking: what was read is put back.
    if (::read(made->fd(), &count, sizeof count) != sizeof count) return false;
    return ::write(made->fd(), &count, sizeof count) == sizeof count;
  };
  EXPECT_FALSE(readable());
  made->raise();
  made->raise();
  EXPECT_TRUE(readable());
  made->lower();
  EXPECT_FALSE(readable());
  made->lower();
  made->raise();
  EXPECT_TRUE(readable());
}

}  // namespace
}  // namespace ferry::os
