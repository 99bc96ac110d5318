#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "os/brief_lock.hpp"

namespace ferry::os {
namespace {

TEST(brief_lock_threads, lets_one_in_at_a_time) {
  brief_lock lock;
  std::uint64_t inside = 0;  // guarded by lock
  {
    std::vector<std::jthread> workers;
    for (int id = 0; id < 3; ++id)
      workers.emplace_back([&] {
        for (int i = 0; i < 50'000; ++i) {
          const std::lock_guard guard(lock);
          ++inside;
        }
      });
  }
  EXPECT_EQ(inside, 150'000u);
}

TEST(brief_lock_threads, makes_others_wait_for_as_long_as_it_is_held) {
  brief_lock lock;
  bool written = false;  // guarded by lock
  std::atomic<int> waiting{0};
  lock.lock();
  std::vector<std::jthread> workers;
  for (int id = 0; id < 3; ++id)
    workers.emplace_back([&] {
      EXPECT_FALSE(lock.try_lock());
      ++waiting;
      const std::lock_guard guard(lock);
      EXPECT_TRUE(written);
    });
  while (waiting.load() != 3) std::this_thread::yield();
  for (int i = 0; i < 1'000; ++i) std::this_thread::yield();  // past the point where they begin to sleep
  written = true;
  lock.unlock();
}

TEST(brief_lock_threads, may_be_held_when_the_process_gets_its_second_thread) {
  brief_lock lock;
  std::jthread second;
  {
    const std::lock_guard guard(lock);
    EXPECT_FALSE(lock.try_lock());
    second = std::jthread([&] { const std::lock_guard theirs(lock); });
    EXPECT_FALSE(lock.try_lock());
  }
  second.join();
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

}  // namespace
}  // namespace ferry::os
