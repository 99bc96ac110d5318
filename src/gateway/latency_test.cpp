#include "gateway/latency.hpp"

#include <gtest/gtest.h>

#include "gateway/pages.hpp"

namespace ferry::gateway {
namespace {

TEST(latency_buckets, count_a_value_where_it_is_not_above_the_top) {
  latency_buckets some;
  for (std::size_t i = 0; i < latency_buckets::k_tops.size(); ++i) {
    some.record(latency_buckets::k_tops[i]);
    EXPECT_EQ(some.counts()[i], 1u) << i;
    some.record(latency_buckets::k_tops[i] + 1);
    EXPECT_EQ(some.counts()[i + 1], 1u) << i;
    some = {};
  }
  some.record(0);
  EXPECT_EQ(some.counts()[0], 1u);
  some.record(UINT64_MAX);
  EXPECT_EQ(some.counts().back(), 1u);
}

TEST(latency_buckets, are_shown_as_prometheus_has_histograms) {
  latency_buckets some;
  constexpr std::uint64_t k_values[] = {5'000, 5'001, 20'000, 2'000'000'000};
  for (const auto one : k_values) some.record(one);
  const auto text = latency_text({some});
  const auto has = [&](const std::string& line) { return text.find("\n" + line + "\n") != std::string::npos; };
  EXPECT_TRUE(text.starts_with("# HELP ferry_gateway_forward_nanoseconds "));
  EXPECT_TRUE(has("# TYPE ferry_gateway_forward_nanoseconds histogram")) << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_bucket{le=\"5000\"} 1")) << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_bucket{le=\"10000\"} 2")) << "and those below: " << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_bucket{le=\"20000\"} 3")) << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_bucket{le=\"1000000000\"} 3")) << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_bucket{le=\"2000000000\"} 4")) << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_bucket{le=\"+Inf\"} 4")) << text;
  EXPECT_TRUE(has("ferry_gateway_forward_nanoseconds_sum 2000030001")) << text;
  EXPECT_TRUE(text.ends_with("ferry_gateway_forward_nanoseconds_count 4\n")) << text;
  const auto two = latency_text({some, {}});
  EXPECT_NE(two.find("_bucket{thread=\"1\",le=\"+Inf\"} 0\n"), std::string::npos) << two;
  EXPECT_NE(two.find("_count{thread=\"0\"} 4\n"), std::string::npos) << two;
}

}  // namespace
}  // namespace ferry::gateway
