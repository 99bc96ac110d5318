#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "os/biased_lock.hpp"

namespace ferry::os {
namespace {

void take(biased_lock& lock, std::uint64_t& inside, int times) {
  for (int i = 0; i < times; ++i) {
    const std::lock_guard guard(lock);
    ++inside;
  }
}

TEST(biased_lock_threads, is_the_first_ones_until_another_one_comes) {
  if (!barriers_work()) GTEST_SKIP() << "no barriers here";
  biased_lock lock;
  std::uint64_t inside = 0;  // guarded by lock
  EXPECT_FALSE(lock.is_biased());
  take(lock, inside, 1000);
  EXPECT_TRUE(lock.is_biased());
  std::jthread([&] { take(lock, inside, 1000); }).join();
  EXPECT_FALSE(lock.is_biased());
  take(lock, inside, 1000);
  EXPECT_FALSE(lock.is_biased());
  EXPECT_EQ(inside, 3000u);
}

// Others come while its owner takes it again and again.
TEST(biased_lock_threads, lets_one_in_at_a_time) {
  for (int round = 0; round < 200; ++round) {
    biased_lock lock;
    std::uint64_t inside = 0;  // guarded by lock
    std::atomic<bool> owned{false};
    {
      std::vector<std::jthread> workers;
      workers.emplace_back([&] {
        take(lock, inside, 1);
        owned.store(true);
        take(lock, inside, 2000);
      });
      for (int id = 0; id < 2; ++id)
        workers.emplace_back([&] {
          while (!owned.load()) std::this_thread::yield();
          take(lock, inside, 500);
        });
    }
    ASSERT_EQ(inside, 3001u);
  }
}

TEST(biased_lock_threads, makes_others_wait_for_as_long_as_its_owner_holds_it) {
  biased_lock lock;
  bool written = false;  // guarded by lock
  lock.lock();           // it is ours
  lock.unlock();
  lock.lock();
  std::atomic<int> coming{0};
  std::vector<std::jthread> workers;
  for (int id = 0; id < 3; ++id)
    workers.emplace_back([&] {
      ++coming;
      const std::lock_guard guard(lock);
      EXPECT_TRUE(written);
    });
  while (coming.load() != 3) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  written = true;
  lock.unlock();
}

}  // namespace
}  // namespace ferry::os
