#include <ferry/buffer_pool.hpp>
#include <ferry/errc.hpp>
#include <ferry/message.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {
namespace {

buffer_pool_options small() {
  buffer_pool_options options;
  options.min_buffer = 4096;
  options.max_buffer = 65536;
  options.growth = 4;
  return options;
}

TEST(buffer_pool, rounds_up_to_the_next_of_its_sizes) {
  buffer_pool pool(small());
  const struct {
    std::size_t asked, given;
  } rows[] = {{0, 4096},      {1, 4096},      {4096, 4096},   {4097, 16384},   {16384, 16384},
              {16385, 65536}, {65536, 65536}, {65537, 65537}, {100001, 100001}};
  for (const auto& row : rows) EXPECT_EQ(pool.acquire(row.asked).capacity(), row.given) << row.asked;
}

TEST(buffer_pool, makes_its_sizes_from_minimum_maximum_growth_and_page) {
  buffer_pool_options options;
  options.min_buffer = 100;
  options.max_buffer = 1000;
  options.growth = 2;
  options.page_size = 64;
  buffer_pool pool(options);
  EXPECT_EQ(pool.acquire(1).capacity(), 128u);
  EXPECT_EQ(pool.acquire(129).capacity(), 256u);
  EXPECT_EQ(pool.acquire(257).capacity(), 512u);
  EXPECT_EQ(pool.acquire(513).capacity(), 1024u);
  EXPECT_EQ(pool.acquire(1025).capacity(), 1025u);
}

TEST(buffer_pool, gives_the_buffer_returned_last) {
  buffer_pool pool(small());
  auto a = pool.acquire(100);
  auto b = pool.acquire(100);
  const auto* first = a.data();
  const auto* second = b.data();
  b.reset();
  a.reset();
  auto c = pool.acquire(100);
  auto d = pool.acquire(100);
  EXPECT_EQ(c.data(), first);
  EXPECT_EQ(d.data(), second);
}

TEST(buffer_pool, counts_hits_misses_and_the_bytes_lent_and_kept) {
  buffer_pool pool(small());
  auto a = pool.acquire(1);
  auto b = pool.acquire(5000);
  auto c = pool.acquire(70000);
  auto stats = pool.stats();
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.exact, 1u);
  EXPECT_EQ(stats.hits, 0u);
  EXPECT_EQ(stats.bytes_lent, 4096u + 16384u + 70000u);
  EXPECT_EQ(stats.bytes_kept, 0u);
  a.reset();
  b.reset();
  c.reset();
  stats = pool.stats();
  EXPECT_EQ(stats.bytes_lent, 0u);
  EXPECT_EQ(stats.bytes_kept, 4096u + 16384u) << "a buffer above the largest class is never kept";
  a = pool.acquire(4096);
  stats = pool.stats();
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.misses, 2u);
  EXPECT_EQ(stats.bytes_lent, 4096u);
  EXPECT_EQ(stats.bytes_kept, 16384u);
}

TEST(buffer_pool, gives_nothing_above_its_limit_and_gives_again_when_bytes_come_back) {
  auto options = small();
  options.max_bytes = 3 * 4096;
  buffer_pool pool(options);
  auto a = pool.acquire(1);
  auto b = pool.acquire(1);
  auto c = pool.acquire(1);
  EXPECT_TRUE(a && b && c);
  EXPECT_FALSE(pool.acquire(1));
  EXPECT_FALSE(pool.acquire(5000));
  EXPECT_FALSE(pool.acquire(100000));
  EXPECT_EQ(pool.stats().refused, 3u);
  b.reset();
  EXPECT_TRUE(pool.acquire(1));
}

TEST(buffer_pool, frees_kept_buffers_of_other_sizes_before_it_refuses) {
  auto options = small();
  options.max_bytes = 65536;
  buffer_pool pool(options);
  {
    std::vector<pooled_buffer> all;
    for (int i = 0; i < 16; ++i) all.push_back(pool.acquire(1));
    ASSERT_TRUE(all.back());
  }
  EXPECT_EQ(pool.stats().bytes_kept, 65536u);
  auto large = pool.acquire(65536);
  ASSERT_TRUE(large);
  const auto stats = pool.stats();
  EXPECT_EQ(stats.bytes_kept, 0u);
  EXPECT_EQ(stats.bytes_lent, 65536u);
  EXPECT_EQ(stats.hits, 0u) << "what was freed was not lent";
  EXPECT_EQ(stats.refused, 0u);
}

TEST(buffer_pool, keeps_no_more_than_it_may) {
  auto options = small();
  options.max_kept = 2 * 4096;
  buffer_pool pool(options);
  std::vector<pooled_buffer> all;
  for (int i = 0; i < 5; ++i) all.push_back(pool.acquire(1));
  all.push_back(pool.acquire(16384));
  all.clear();
  EXPECT_EQ(pool.stats().bytes_kept, 2u * 4096u);
  EXPECT_EQ(pool.stats().bytes_lent, 0u);
}

TEST(buffer_pool, is_filled_at_the_start_if_asked) {
  auto options = small();
  options.prefill_bytes = 65536;
  buffer_pool pool(options);
  EXPECT_EQ(pool.stats().bytes_kept, 3u * 65536u);
  EXPECT_EQ(pool.stats().misses, 0u);
  std::vector<pooled_buffer> all;
  for (int i = 0; i < 16; ++i) all.push_back(pool.acquire(4096));
  EXPECT_EQ(pool.stats().hits, 16u);
  EXPECT_EQ(pool.stats().misses, 0u);
  all.push_back(pool.acquire(4096));
  EXPECT_EQ(pool.stats().misses, 1u);
}

TEST(buffer_pool, is_not_filled_beyond_its_limits) {
  auto options = small();
  options.prefill_bytes = 1 << 20;
  options.max_kept = 10 * 4096;
  EXPECT_EQ(buffer_pool(options).stats().bytes_kept, 10u * 4096u);
  options.max_kept = 1 << 30;
  options.max_bytes = 7 * 4096;
  EXPECT_EQ(buffer_pool(options).stats().bytes_kept, 7u * 4096u);
}

TEST(buffer_pool, aligns_every_buffer_to_a_cache_line) {
  buffer_pool pool(small());
  for (const std::size_t size : {1u, 5000u, 60000u, 70001u})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pool.acquire(size).data()) % 64, 0u) << size;
}

TEST(buffer_pool, serves_more_buffers_at_once_than_its_first_tables_hold) {
  auto options = small();
  options.min_buffer = options.max_buffer = options.page_size = 64;
  buffer_pool pool(options);
  std::vector<pooled_buffer> all;
  for (std::size_t i = 0; i < 5000; ++i) {
    all.push_back(pool.acquire(64));
    ASSERT_TRUE(all.back());
    std::memset(all.back().data(), static_cast<int>(i % 251), 64);
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t k = 0; k < 64; ++k) ASSERT_EQ(std::to_integer<std::size_t>(all[i].data()[k]), i % 251);
  all.clear();
  EXPECT_EQ(pool.stats().bytes_kept, 5000u * 64u);
}

TEST(buffer_pool, may_be_outlived_by_its_buffers) {
  std::optional<buffer_pool> pool(std::in_place, small());
  { const auto kept = pool->acquire(1); }
  auto pooled = pool->acquire(5000);
  auto exact = pool->acquire(70000);
  std::memset(pooled.data(), 1, pooled.capacity());
  pool.reset();
  std::memset(pooled.data(), 2, pooled.capacity());
  std::memset(exact.data(), 2, exact.capacity());
  exact.reset();
  pooled.reset();
  EXPECT_FALSE(pooled);
}

TEST(buffer_pool, says_which_option_is_wrong_with_the_value_and_the_range) {
  const struct {
    void (*spoil)(buffer_pool_options&);
    const char* text;
  } rows[] = {
      {[](auto& o) { o.page_size = 3000; }, "buffer pool: page_size 3000 is not a power of two"},
      {[](auto& o) { o.growth = 1; }, "buffer pool: growth 1 is not within 2 .. 16"},
      {[](auto& o) { o.growth = 17; }, "buffer pool: growth 17 is not within 2 .. 16"},
      {[](auto& o) { o.min_buffer = 65537; }, "buffer pool: min_buffer 65537 is above max_buffer 65536"},
      {[](auto& o) { o.max_buffer = SIZE_MAX; },
       "buffer pool: max_buffer 18446744073709551615 does not fit into memory"},
  };
  for (const auto& row : rows) {
    auto options = small();
    row.spoil(options);
    try {
      const buffer_pool pool(options);
      ADD_FAILURE() << "accepted where this was expected: " << row.text;
    } catch (const failure& f) {
      EXPECT_EQ(f.reason(), errc::bad_option);
      EXPECT_STREQ(f.what(), row.text);
    }
  }
}

TEST(pooled_buffer, moves_and_returns_itself_once) {
  buffer_pool pool(small());
  auto a = pool.acquire(1);
  auto b = std::move(a);
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): moved-from is empty by contract
  EXPECT_EQ(b.capacity(), 4096u);
  auto c = pool.acquire(1);
  c = std::move(b);
  EXPECT_EQ(pool.stats().bytes_lent, 4096u);
  EXPECT_EQ(pool.stats().bytes_kept, 4096u);
  c.reset();
  c.reset();
  EXPECT_EQ(pool.stats().bytes_kept, 2u * 4096u);
}

TEST(message, copies_a_view_into_a_pooled_buffer) {
  buffer_pool pool(small());
  const auto copy = message::copy_of({as_bytes("hello"), message_kind::text, 7}, pool);
  EXPECT_TRUE(copy.ok());
  EXPECT_EQ(copy.text(), "hello");
  EXPECT_EQ(copy.kind(), message_kind::text);
  EXPECT_EQ(copy.type(), 7);
  const auto empty = message::copy_of({}, pool);
  EXPECT_TRUE(empty.ok());
  EXPECT_EQ(empty.size(), 0u);
  EXPECT_EQ(pool.stats().bytes_lent, 4096u) << "an empty message takes no buffer";
}

TEST(message, is_not_ok_where_no_memory_was_to_be_had) {
  auto options = small();
  options.max_bytes = 0;
  buffer_pool pool(options);
  EXPECT_FALSE(message::copy_of({as_bytes("hello"), message_kind::text, 7}, pool).ok());
}

}  // namespace
}  // namespace ferry
