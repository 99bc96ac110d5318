#include <ferry/metrics.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {
namespace {

using buckets = detail::histogram_buckets;

TEST(counter, adds_up) {
  counter c;
  EXPECT_EQ(c.value(), 0u);
  c.add();
  c.add(41);
  c.add_shared(58);
  EXPECT_EQ(c.value(), 100u);
}

TEST(gauge, goes_up_and_down_and_below_nothing) {
  gauge g;
  g.set(5);
  g.add(-7);
  EXPECT_EQ(g.value(), -2);
  g.add_shared(3);
  EXPECT_EQ(g.value(), 1);
}

TEST(histogram, puts_every_value_into_a_bucket_no_wider_than_a_sixteenth_of_it) {
  std::vector<std::uint64_t> values;
  for (std::uint64_t v = 0; v < 5000; ++v) values.push_back(v);
  for (unsigned bit = 12; bit < 63; ++bit)
    for (const std::uint64_t near : {-1, 0, 1}) values.push_back((std::uint64_t{1} << bit) + near);
  values.push_back(buckets::k_max_value);
  for (const auto v : values) {
    const auto index = buckets::index_of(v);
    ASSERT_LT(index, buckets::k_count);
    const auto top = buckets::top_of(index);
    ASSERT_GE(top, v);
    ASSERT_LE(top - v, v / 16) << v;
    ASSERT_TRUE(index == 0 || buckets::top_of(index - 1) < v) << "buckets overlap at " << v;
  }
  EXPECT_EQ(buckets::index_of(buckets::k_max_value), buckets::k_count - 1);
  EXPECT_EQ(buckets::top_of(buckets::k_count - 1), buckets::k_max_value);
}

TEST(histogram, of_nothing_is_all_zero) {
  const auto s = histogram().snapshot();
  EXPECT_EQ(s.count(), 0u);
  EXPECT_EQ(s.max(), 0u);
  EXPECT_EQ(s.p50(), 0u);
  EXPECT_EQ(s.p999(), 0u);
  EXPECT_EQ(s.mean(), 0.0);
}

TEST(histogram, tells_small_values_exactly) {
  histogram h;
  for (std::uint64_t v = 1; v <= 10; ++v) h.record(v);
  const auto s = h.snapshot();
  EXPECT_EQ(s.count(), 10u);
  EXPECT_EQ(s.sum(), 55u);
  EXPECT_EQ(s.mean(), 5.5);
  EXPECT_EQ(s.max(), 10u);
  EXPECT_EQ(s.quantile(0), 1u);
  EXPECT_EQ(s.quantile(0.1), 1u);
  EXPECT_EQ(s.quantile(0.11), 2u);
  EXPECT_EQ(s.p50(), 5u);
  EXPECT_EQ(s.quantile(1), 10u);
}

TEST(histogram, tells_quantiles_of_a_wide_range_within_a_sixteenth) {
  histogram h;
  std::vector<std::uint64_t> values;
  std::uint64_t v = 88172645463325252u;
  for (int i = 0; i < 20000; ++i) {
    v ^= v << 13;
    v ^= v >> 7;
    v ^= v << 17;
    values.push_back((v >> 1) >> (i % 50));
    h.record(values.back());
  }
  std::sort(values.begin(), values.end());
  const auto s = h.snapshot();
  for (const double q : {0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto exact = values[static_cast<std::size_t>(q * 20000) - 1];
    EXPECT_GE(s.quantile(q), exact) << q;
    EXPECT_LE(s.quantile(q) - exact, exact / 16) << q;
  }
  EXPECT_EQ(s.max(), values.back());
}

TEST(histogram, never_tells_a_quantile_above_the_largest_value) {
  histogram h;
  h.record(1'000'001);
  const auto s = h.snapshot();
  EXPECT_EQ(s.p50(), 1'000'001u);
  EXPECT_EQ(s.p999(), 1'000'001u);
}

TEST(histogram, takes_what_is_too_large_as_its_largest_value_and_its_sum_never_wraps) {
  histogram h;
  for (int i = 0; i < 3; ++i) h.record(UINT64_MAX);
  const auto s = h.snapshot();
  EXPECT_EQ(s.max(), buckets::k_max_value);
  EXPECT_EQ(s.p50(), buckets::k_max_value);
  EXPECT_EQ(s.sum(), UINT64_MAX);
}

TEST(histogram, snapshots_add_up_as_if_recorded_in_one) {
  histogram low, high;
  for (std::uint64_t v = 1; v <= 5; ++v) low.record(v);
  for (std::uint64_t v = 6; v <= 10; ++v) high.record(v);
  auto s = low.snapshot();
  s += high.snapshot();
  EXPECT_EQ(s.count(), 10u);
  EXPECT_EQ(s.mean(), 5.5);
  EXPECT_EQ(s.quantile(0.8), 8u);
  EXPECT_EQ(s.max(), 10u);
}

TEST(metrics_registry, lists_what_is_registered_by_name_then_labels) {
  metrics_registry registry;
  const auto sent = std::make_shared<counter>();
  const auto depth = std::make_shared<gauge>();
  const auto trip = std::make_shared<histogram>();
  const auto a = registry.add({.name = "sent", .labels = {{"to", "b"}}, .help = {}}, sent);
  const auto b = registry.add({.name = "trip", .labels = {}, .help = {}}, trip);
  const auto c = registry.add({.name = "depth", .labels = {}, .help = {}}, depth);
  const auto d = registry.add({.name = "sent", .labels = {{"to", "a"}}, .help = {}}, std::make_shared<counter>());
  sent->add(3);
  depth->set(-4);
  for (std::uint64_t v = 1; v <= 4; ++v) trip->record(v);
  const auto now = registry.snapshot();
  ASSERT_EQ(now.size(), 4u);
  EXPECT_EQ(now[0].id.name, "depth");
  EXPECT_EQ(now[0].kind, metric_kind::gauge);
  EXPECT_EQ(now[0].level, -4);
  EXPECT_EQ(now[1].id.labels[0].second, "a");
  EXPECT_EQ(now[1].count, 0u);
  EXPECT_EQ(now[2].kind, metric_kind::counter);
  EXPECT_EQ(now[2].count, 3u);
  EXPECT_EQ(now[3].kind, metric_kind::histogram);
  EXPECT_EQ(now[3].count, 4u);
  EXPECT_EQ(now[3].sum, 10u);
  EXPECT_EQ(now[3].p50, 2u);
  EXPECT_EQ(now[3].max, 4u);
  EXPECT_EQ(now[3].mean, 2.5);
}

TEST(metrics_registry, lists_an_instrument_no_longer_once_its_registration_ended_and_lets_it_go) {
  metrics_registry registry;
  auto sent = std::make_shared<counter>();
  const std::weak_ptr<counter> watch = sent;
  auto kept = registry.add({.name = "sent", .labels = {}, .help = {}}, sent);
  sent.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(registry.snapshot().size(), 1u);
  auto moved = std::move(kept);
  EXPECT_EQ(registry.snapshot().size(), 1u);
  moved.reset();
  EXPECT_FALSE(moved);
  EXPECT_TRUE(registry.snapshot().empty());
  EXPECT_TRUE(watch.expired());
  const auto next = registry.add({.name = "next", .labels = {}, .help = {}}, std::make_shared<gauge>());
  EXPECT_EQ(registry.snapshot().at(0).id.name, "next");
}

TEST(metrics_registry, a_registration_that_is_assigned_to_ends_the_one_it_held) {
  metrics_registry registry;
  auto one = registry.add({.name = "one", .labels = {}, .help = {}}, std::make_shared<counter>());
  one = registry.add({.name = "two", .labels = {}, .help = {}}, std::make_shared<counter>());
  ASSERT_EQ(registry.snapshot().size(), 1u);
  EXPECT_EQ(registry.snapshot()[0].id.name, "two");
}

TEST(metrics_registry, may_end_before_its_registrations) {
  std::optional<metrics_registry> registry(std::in_place);
  auto kept = registry->add({.name = "sent", .labels = {}, .help = {}}, std::make_shared<counter>());
  registry.reset();
  kept.reset();
}

TEST(prometheus_text, has_a_head_for_each_name_and_a_line_for_each_instrument) {
  metrics_registry registry;
  const auto sent = std::make_shared<counter>();
  const auto trip = std::make_shared<histogram>();
  sent->add(3);
  for (std::uint64_t v = 1; v <= 10; ++v) trip->record(v);
  const auto a = registry.add({.name = "sent", .labels = {{"to", "a"}}, .help = "Messages sent."}, sent);
  const auto b = registry.add({.name = "sent", .labels = {{"to", "b"}}, .help = "Messages sent."}, sent);
  const auto c = registry.add({.name = "trip", .labels = {{"to", "a"}}, .help = "Nanoseconds."}, trip);
  const auto d = registry.add({.name = "depth", .labels = {}, .help = {}}, std::make_shared<gauge>());
  EXPECT_EQ(prometheus_text(registry.snapshot()),
            "# TYPE depth gauge\n"
            "depth 0\n"
            "# HELP sent Messages sent.\n"
            "# TYPE sent counter\n"
            "sent{to=\"a\"} 3\n"
            "sent{to=\"b\"} 3\n"
            "# HELP trip Nanoseconds.\n"
            "# TYPE trip summary\n"
            "trip{to=\"a\",quantile=\"0.5\"} 5\n"
            "trip{to=\"a\",quantile=\"0.99\"} 10\n"
            "trip{to=\"a\",quantile=\"0.999\"} 10\n"
            "trip_sum{to=\"a\"} 55\n"
            "trip_count{to=\"a\"} 10\n"
            "# TYPE trip_max gauge\n"
            "trip_max{to=\"a\"} 10\n");
}

TEST(prometheus_text, lets_no_name_or_label_break_out_of_its_place) {
  metric_sample sample;
  sample.id = {.name = "2 ferry.sent", .labels = {{"a:b", "x\"} 1\n\\"}}, .help = "one\ntwo \\ \"three\""};
  EXPECT_EQ(prometheus_text({sample}),
            "# HELP _2_ferry_sent one\\ntwo \\\\ \"three\"\n"
            "# TYPE _2_ferry_sent counter\n"
            "_2_ferry_sent{a_b=\"x\\\"} 1\\n\\\\\"} 0\n");
}

}  // namespace
}  // namespace ferry
