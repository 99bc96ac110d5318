#include "apps/ferry/bench_payload.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "apps/ferry/bench_histogram.hpp"

namespace {

using ferry::bytes;
using ferry::app::bench_checker;
using ferry::app::bench_histogram;
using ferry::app::bench_pattern;

std::vector<std::byte> copy(bytes of) { return {of.begin(), of.end()}; }

TEST(bench_checker, finds_every_message_of_the_pattern_right) {
  for (const std::size_t size : {8u, 9u, 64u, 65u, 1000u, 10'240u}) {
    bench_pattern pattern(size);
    bench_checker checker(size);
    for (std::uint64_t i = 0; i < 1000; ++i) checker.take(pattern.stamp(i));
    checker.finish(1000);
    EXPECT_EQ(checker.so_far().messages, 1000u);
    EXPECT_EQ(checker.so_far().lost + checker.so_far().duplicated + checker.so_far().corrupt, 0u) << size;
  }
}

TEST(bench_checker, notices_every_single_changed_byte_of_a_small_message) {
  constexpr std::size_t k_size = 64;
  bench_pattern pattern(k_size);
  for (std::uint64_t sequence = 0; sequence < 40; ++sequence) {
    for (std::size_t at = 0; at < k_size; ++at) {
      auto message = copy(pattern.stamp(sequence));
      message[at] ^= std::byte{1};
      bench_checker checker(k_size);
      checker.restart(sequence);
      checker.take(message);
      const auto& found = checker.so_far();
      EXPECT_NE(found.corrupt + found.lost + found.duplicated, 0u) << "message " << sequence << " byte " << at;
    }
  }
}

TEST(bench_checker, notices_a_changed_byte_in_every_16th_larger_message) {
  constexpr std::size_t k_size = 1024;
  bench_pattern pattern(k_size);
  bench_checker checker(k_size);
  for (std::uint64_t sequence = 0; sequence < 160; ++sequence) {
    auto message = copy(pattern.stamp(sequence));
    message.back() ^= std::byte{0x80};
    checker.take(message);
  }
  EXPECT_EQ(checker.so_far().corrupt, 10u);
}

TEST(bench_checker, notices_the_body_of_another_message_under_the_right_number) {
  bench_pattern pattern(1024);
  auto message = copy(pattern.stamp(16));
  ferry::store_le(message.data(), std::uint64_t{32});
  bench_checker checker(1024);
  checker.restart(32);
  checker.take(message);
  EXPECT_EQ(checker.so_far().corrupt, 1u);
}

TEST(bench_checker, counts_what_was_left_out_what_came_twice_and_what_is_no_credible_number) {
  bench_pattern pattern(16);
  bench_checker checker(16);
  for (const std::uint64_t sequence : {0u, 1u, 4u, 4u, 5u}) checker.take(pattern.stamp(sequence));
  checker.take(pattern.stamp(std::uint64_t{1} << 60));
  checker.take(pattern.stamp(6));
  checker.finish(10);
  EXPECT_EQ(checker.so_far().lost, 2u + 3u);
  EXPECT_EQ(checker.so_far().duplicated, 1u);
  EXPECT_EQ(checker.so_far().corrupt, 1u);
}

TEST(bench_checker, calls_a_message_of_another_size_corrupt) {
  bench_checker checker(64);
  checker.take(std::vector<std::byte>(63));
  checker.take({});
  EXPECT_EQ(checker.so_far().corrupt, 2u);
}

TEST(bench_histogram, gives_quantiles_within_half_a_percent) {
  bench_histogram all;
  for (std::uint64_t value = 1; value <= 100'000; ++value) all.record(value);
  EXPECT_EQ(all.count(), 100'000u);
  EXPECT_EQ(all.max(), 100'000u);
  for (const double q : {0.1, 0.5, 0.9, 0.99, 0.999}) EXPECT_NEAR(all.quantile(q) / (q * 100'000), 1.0, 0.005) << q;
  EXPECT_EQ(all.quantile(1), 100'000);
}

TEST(bench_histogram, of_nothing_is_zero_and_takes_any_value) {
  bench_histogram all;
  EXPECT_EQ(all.quantile(0.5), 0);
  all.record(0);
  EXPECT_EQ(all.quantile(0.5), 0);
  all.record(UINT64_MAX);
  EXPECT_EQ(all.max(), UINT64_MAX);
  EXPECT_GT(all.quantile(1), 1e10);
}

}  // namespace
