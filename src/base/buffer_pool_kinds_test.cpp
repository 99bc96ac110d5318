#include <ferry/buffer_pool.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {
namespace {

using kind = buffer_pool_kind;

struct sort_of_pool {
  const char* name;
  kind of;
  std::size_t slab_bytes;
};

class buffer_pool_of_each_kind : public ::testing::TestWithParam<sort_of_pool> {
 protected:
  static buffer_pool_options options() {
    buffer_pool_options made;
    made.min_buffer = made.page_size = 64;
    made.max_buffer = 1024;
    made.growth = 2;
    return made;
  }
  [[nodiscard]] std::optional<buffer_pool> pool(const buffer_pool_options& with = options()) const {
    return std::optional<buffer_pool>(std::in_place, GetParam().of, GetParam().slab_bytes, with);
  }
};

TEST_P(buffer_pool_of_each_kind, gives_the_smallest_of_its_sizes_that_fits_and_aligned) {
  auto of = pool();
  const std::size_t rows[][2] = {{0, 64}, {1, 64}, {65, 128}, {129, 256}, {513, 1024}, {1024, 1024}};
  for (const auto& [asked, given] : rows) {
    const auto one = of->acquire(asked);
    EXPECT_EQ(one.capacity(), given);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.data()) % 64, 0u);
    std::memset(one.data(), 1, one.capacity());
  }
}

TEST_P(buffer_pool_of_each_kind, lends_again_what_came_back_and_makes_no_more) {
  auto of = pool();
  for (int round = 0; round < 100; ++round) {
    const auto a = of->acquire(64), b = of->acquire(64), c = of->acquire(1000);
    EXPECT_NE(a.data(), b.data());
  }
  const auto stats = of->stats();
  EXPECT_EQ(stats.misses, 3u);
  EXPECT_EQ(stats.hits, 297u);
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_EQ(stats.bytes_kept, 64u + 64u + 1024u);
}

TEST_P(buffer_pool_of_each_kind, counts_what_is_above_its_largest_size_and_keeps_none_of_it) {
  auto of = pool();
  { EXPECT_EQ(of->acquire(1025).capacity(), 1025u); }
  { EXPECT_EQ(of->acquire(100'000).capacity(), 100'000u); }
  EXPECT_EQ(of->stats().exact, 2u);
  EXPECT_EQ(of->stats().bytes_kept, 0u);
}

TEST_P(buffer_pool_of_each_kind, gives_nothing_above_its_limit_and_again_when_bytes_come_back) {
  auto with = options();
  with.max_bytes = 8 * 64;
  auto of = pool(with);
  std::vector<pooled_buffer> all;
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(all.emplace_back(of->acquire(1)));
  EXPECT_FALSE(of->acquire(1));
  EXPECT_FALSE(of->acquire(5000));
  all.pop_back();
  EXPECT_TRUE(of->acquire(1));
  EXPECT_EQ(of->stats().refused, 2u);
}

TEST_P(buffer_pool_of_each_kind, never_lends_one_buffer_twice_at_once) {
  auto of = pool();
  std::vector<pooled_buffer> all;
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < 500; ++i) {
      ASSERT_TRUE(all.emplace_back(of->acquire(64)));
      std::memset(all.back().data(), static_cast<int>(i % 251), 64);
    }
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t k = 0; k < 64; ++k) ASSERT_EQ(std::to_integer<std::size_t>(all[i].data()[k]), i % 251);
    all.clear();
  }
  EXPECT_EQ(of->stats().bytes_lent, 0u);
}

TEST_P(buffer_pool_of_each_kind, may_be_outlived_by_its_buffers) {
  auto of = pool();
  { const auto kept = of->acquire(1); }
  std::vector<pooled_buffer> all;
  for (int i = 0; i < 100; ++i) all.push_back(of->acquire(64));
  all.push_back(of->acquire(5000));
  of.reset();
  for (auto& one : all) std::memset(one.data(), 2, one.capacity());
}

INSTANTIATE_TEST_SUITE_P(buffer_pool, buffer_pool_of_each_kind,
                         ::testing::Values(sort_of_pool{"atom", kind::atom, 0},
                                           sort_of_pool{"atom_over_slabs", kind::atom, 4096},
                                           sort_of_pool{"atom_over_slabs_for_all", kind::atom, 1 << 20},
                                           sort_of_pool{"sync", kind::sync, 4096},
                                           sort_of_pool{"chan", kind::chan, 1 << 20}),
                         [](const auto& one) { return one.param.name; });

buffer_pool_options of_one_size(std::size_t size) {
  buffer_pool_options made;
  made.min_buffer = made.max_buffer = size;
  made.page_size = 64;
  return made;
}

TEST(buffer_pool_kinds, atom_cuts_the_first_buffers_of_a_size_from_one_slab_and_keeps_them_always) {
  auto with = of_one_size(64);
  with.max_kept = 0;
  buffer_pool pool(kind::atom, 8 * 128, with);  // each with the line before it
  std::vector<pooled_buffer> all;
  for (int i = 0; i < 12; ++i) all.push_back(pool.acquire(64));
  for (int i = 1; i < 8; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].data(), all[0].data() + i * 128);
  all.clear();
  EXPECT_EQ(pool.stats().bytes_kept, 8u * 64u) << "the other four were freed";
}

TEST(buffer_pool_kinds, chan_keeps_no_more_than_its_queue_holds_and_gives_the_oldest) {
  buffer_pool pool(kind::chan, 4 * 1024, of_one_size(1024));
  std::vector<pooled_buffer> all;
  for (int i = 0; i < 10; ++i) all.push_back(pool.acquire(1024));
  const auto* const first = all[0].data();
  all.clear();
  EXPECT_EQ(pool.stats().bytes_kept, 4u * 1024u);
  EXPECT_EQ(pool.acquire(1).data(), first);
  buffer_pool small(kind::chan, 0, of_one_size(1024));
  for (int i = 0; i < 10; ++i) all.push_back(small.acquire(1024));
  all.clear();
  EXPECT_EQ(small.stats().bytes_kept, 2u * 1024u) << "two at least";
}

TEST(buffer_pool_kinds, sync_serves_a_thread_that_uses_more_pools_than_it_has_caches_for) {
  std::vector<std::unique_ptr<buffer_pool>> pools;
  for (int i = 0; i < 20; ++i) pools.push_back(std::make_unique<buffer_pool>(kind::sync, 0, of_one_size(64)));
  for (int round = 0; round < 3; ++round)
    for (auto& one : pools) EXPECT_TRUE(one->acquire(1));
  for (auto& one : pools) EXPECT_EQ(one->stats().misses, 1u);
  for (int i = 0; i < 20; ++i) {
    pools[static_cast<std::size_t>(i)] = std::make_unique<buffer_pool>(kind::sync, 0, of_one_size(64));
    EXPECT_TRUE(pools[static_cast<std::size_t>(i)]->acquire(1));
  }
}

}  // namespace
}  // namespace ferry
