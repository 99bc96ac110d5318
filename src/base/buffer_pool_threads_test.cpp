#include <ferry/buffer_pool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace ferry {
namespace {

constexpr std::size_t k_threads = 4;
constexpr std::size_t k_rounds = 20'000;

buffer_pool_options tiny() {
  buffer_pool_options options;
  options.min_buffer = options.page_size = 64;
  options.max_buffer = 256;
  options.growth = 2;
  return options;
}

bool filled_with(const pooled_buffer& buffer, std::byte mark) {
  for (std::size_t i = 0; i < buffer.capacity(); ++i)
    if (buffer.data()[i] != mark) return false;
  return true;
}

struct sort_of_pool {
  const char* name;
  buffer_pool_kind of;
  std::size_t slab_bytes;
};
class buffer_pool_threads : public ::testing::TestWithParam<sort_of_pool> {};

TEST_P(buffer_pool_threads, no_buffer_is_ever_lent_twice_at_once) {
  buffer_pool pool(GetParam().of, GetParam().slab_bytes, tiny());
  std::atomic<std::size_t> spoiled{0};
  {
    std::vector<std::jthread> workers;
    for (std::size_t id = 1; id <= k_threads; ++id)
      workers.emplace_back([&, id] {
        const auto mark = static_cast<std::byte>(id);
        for (std::size_t round = 0; round < k_rounds; ++round) {
          pooled_buffer mine[3];
          for (std::size_t i = 0; i < 3; ++i) {
            mine[i] = pool.acquire(std::size_t{64} << ((round + i) % 3));
            std::memset(mine[i].data(), static_cast<int>(id), mine[i].capacity());
          }
          for (const auto& buffer : mine)
            if (!filled_with(buffer, mark)) spoiled.fetch_add(1);
        }
      });
  }
  const auto stats = pool.stats();
  EXPECT_EQ(spoiled.load(), 0u);
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_EQ(stats.hits + stats.misses, k_threads * k_rounds * 3);
  // What comes back is lent again; but a thread that stops in the middle of a push hides what lies behind it in a
  // queue.
  const bool may_hide = GetParam().of == buffer_pool_kind::chan;
  EXPECT_TRUE(may_hide || stats.misses <= k_threads * 3 * 3) << stats.misses;
}

TEST_P(buffer_pool_threads, never_lends_more_than_the_limit) {
  auto options = tiny();
  options.max_bytes = 1024;
  buffer_pool pool(GetParam().of, GetParam().slab_bytes, options);
  std::atomic<std::size_t> lent{0};
  std::atomic<std::size_t> most{0};
  std::atomic<std::size_t> refused{0};
  {
    std::vector<std::jthread> workers;
    for (std::size_t id = 0; id < k_threads; ++id)
      workers.emplace_back([&, id] {
        for (std::size_t round = 0; round < k_rounds; ++round) {
          pooled_buffer mine[4];
          for (std::size_t i = 0; i < 4; ++i) {
            mine[i] = pool.acquire(std::size_t{64} << ((round + id + i) % 3));
            if (!mine[i]) refused.fetch_add(1);
            const auto now = lent.fetch_add(mine[i].capacity()) + mine[i].capacity();
            for (auto seen = most.load(); now > seen && !most.compare_exchange_weak(seen, now);) {
            }
          }
          for (auto& buffer : mine) {
            lent.fetch_sub(buffer.capacity());
            buffer.reset();
          }
        }
      });
  }
  const auto stats = pool.stats();
  EXPECT_LE(most.load(), 1024u);
  EXPECT_EQ(stats.refused, refused.load());
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_LE(stats.bytes_kept, 1024u);
  EXPECT_EQ(stats.hits + stats.misses + stats.refused, k_threads * k_rounds * 4);
}

TEST_P(buffer_pool_threads, buffers_may_come_back_while_the_pool_ends) {
  for (int round = 0; round < 200; ++round) {
    std::optional<buffer_pool> pool(std::in_place, GetParam().of, GetParam().slab_bytes, tiny());
    std::vector<std::vector<pooled_buffer>> lots(k_threads);
    for (auto& lot : lots)
      for (int i = 0; i < 20; ++i) lot.push_back(pool->acquire(i % 2 == 0 ? 64 : 1000));
    std::atomic<std::size_t> ready{0};
    std::vector<std::jthread> workers;
    for (auto& lot : lots)
      workers.emplace_back([&ready, mine = std::move(lot)]() mutable {
        ready.fetch_add(1);
        mine.clear();
      });
    while (ready.load() == 0) std::this_thread::yield();
    pool.reset();
  }
}

TEST_P(buffer_pool_threads, buffers_made_on_one_thread_come_back_on_another) {
  constexpr std::size_t rounds = 2000;  // each of them waits for the other thread
  buffer_pool pool(GetParam().of, GetParam().slab_bytes, tiny());
  std::atomic<pooled_buffer*> handed{nullptr};
  std::jthread taker([&] {
    for (std::size_t round = 0; round < rounds; ++round) {
      pooled_buffer* one = nullptr;
      while ((one = handed.exchange(nullptr)) == nullptr) std::this_thread::yield();
      EXPECT_TRUE(filled_with(*one, static_cast<std::byte>(round % 251)));
      delete one;
    }
  });
  for (std::size_t round = 0; round < rounds; ++round) {
    auto one = std::make_unique<pooled_buffer>(pool.acquire(64));
    std::memset(one->data(), static_cast<int>(round % 251), one->capacity());
    while (handed.load() != nullptr) std::this_thread::yield();
    handed = one.release();
  }
  taker.join();
  const auto stats = pool.stats();
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_EQ(stats.hits + stats.misses, rounds);
  const bool may_hide = GetParam().of == buffer_pool_kind::chan;
  EXPECT_TRUE(may_hide || stats.misses <= 64) << "what a thread keeps for itself is bounded: " << stats.misses;
}

TEST_P(buffer_pool_threads, a_thread_that_ends_leaves_what_it_kept_to_the_others) {
  buffer_pool pool(GetParam().of, GetParam().slab_bytes, tiny());
  { EXPECT_TRUE(pool.acquire(64)); }  // this thread has a cache of its own from now on
  for (int round = 0; round < 50; ++round)
    std::jthread([&] {
      const pooled_buffer mine[2] = {pool.acquire(64), pool.acquire(64)};
      EXPECT_TRUE(mine[0] && mine[1]);
    }).join();
  EXPECT_LE(pool.stats().misses, 3u);
  const pooled_buffer all[3] = {pool.acquire(64), pool.acquire(64), pool.acquire(64)};
  EXPECT_EQ(pool.stats().misses, 3u);
  EXPECT_EQ(pool.stats().bytes_lent, 3u * 64u);
  EXPECT_EQ(pool.stats().bytes_kept, 0u);
}

TEST_P(buffer_pool_threads, a_pool_may_end_before_the_threads_that_used_it) {
  std::optional<buffer_pool> pool(std::in_place, GetParam().of, GetParam().slab_bytes, tiny());
  std::atomic<std::size_t> used{0};
  std::atomic<bool> over{false};
  std::vector<std::jthread> workers;
  for (std::size_t id = 0; id < k_threads; ++id)
    workers.emplace_back([&] {
      auto last = pool->acquire(64);
      pool->acquire(64).reset();
      used.fetch_add(1);
      over.wait(false);
    });
  while (used.load() != k_threads) std::this_thread::yield();
  pool.reset();
  over = true;
  over.notify_all();
}

INSTANTIATE_TEST_SUITE_P(kinds, buffer_pool_threads,
                         ::testing::Values(sort_of_pool{"atom", buffer_pool_kind::atom, 0},
                                           sort_of_pool{"atom_over_slabs", buffer_pool_kind::atom, 1024},
                                           sort_of_pool{"sync", buffer_pool_kind::sync, 1024},
                                           sort_of_pool{"chan", buffer_pool_kind::chan, 4096}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace ferry
