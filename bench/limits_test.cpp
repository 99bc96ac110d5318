#include "bench/limits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "bench/children_gone.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

bool one_core() { return !two_cores(); }

/// Every number in it is positive, or the name says that it may be 0.
void expect_positive(const json::value& value, const std::string& path) {
  if (value.is_number() && path != ".machine.load_average" && path.find(".placement") != 0) {
    EXPECT_GT(value.to_number<double>(), 0) << path;
  } else if (const auto* object = value.if_object()) {
    for (const auto& [key, inner] : *object) expect_positive(inner, path + "." + std::string(key));
  } else if (const auto* list = value.if_array()) {
    for (const auto& inner : *list) expect_positive(inner, path + "[]");
  }
}

std::set<std::string> keys_of(const json::value& value) {
  std::set<std::string> keys;
  for (const auto& [key, unused] : value.as_object()) keys.insert(key);
  return keys;
}

TEST(limits, measures_everything_and_leaves_no_child) {
  if (one_core()) GTEST_SKIP() << "needs two cores";
  auto options = limits_options::quick();
  int last = -1;
  int announced = 0;
  options.progress = [&](std::string_view, int done, int total) {
    EXPECT_EQ(done, last + 1);
    last = done;
    announced = total;
  };
  const auto measured = measure_limits(options);
  ASSERT_TRUE(measured) << measured.error().text();
  EXPECT_TRUE(children_are_gone());
  EXPECT_EQ(announced, static_cast<int>(limit_names().size()));
  EXPECT_EQ(last, announced);
  for (const auto& one : measured->failures) ADD_FAILURE() << one.name << ": " << one.text;

  const auto result = to_json(*measured);
  expect_positive(result, "");
  EXPECT_EQ(keys_of(result.at("cache_line_rtt_ns")), (std::set<std::string>{"mean", "p50"}));
  EXPECT_TRUE(result.at("memcpy_bytes_per_second").is_number());
  for (const auto* kind : {"unix", "tcp"}) {
    const auto& stream = result.at(kind);
    EXPECT_EQ(keys_of(stream.at("pingpong_blocking_ns")), (std::set<std::string>{"p50", "p99"}));
    EXPECT_TRUE(stream.at("pingpong_spinning_ns").is_number());
    EXPECT_EQ(stream.at("raw_oneway").as_array().size(), 4u);
    EXPECT_EQ(stream.at("pipeline_oneway").as_array().size(), 8u);
    for (const auto* list : {"raw_oneway", "pipeline_oneway"})
      for (const auto& one : stream.at(list).as_array())
        EXPECT_EQ(keys_of(one), (std::set<std::string>{"buffer", "bytes_per_second", "messages_per_second", "size"}));
    EXPECT_EQ(stream.at("echo").as_array().size(), 4u);
    for (const auto& one : stream.at("echo").as_array())
      EXPECT_EQ(keys_of(one), (std::set<std::string>{"connections", "in_flight", "messages_per_second"}));
    EXPECT_EQ(stream.at("relay").as_array().size(), 3u);
    for (const auto& one : stream.at("relay").as_array())
      EXPECT_EQ(keys_of(one),
                (std::set<std::string>{"clients", "cpu_ns_per_echo", "messages_per_second", "virtual", "window"}));
  }
}

TEST(limits, measures_only_what_is_asked_for_and_gives_its_spread) {
  auto options = limits_options::quick();
  options.only = {"unix.pipeline_oneway.1024.", "tcp.pingpong_blocking"};
  options.runs = 3;
  const auto measured = measure_limits(options);
  ASSERT_TRUE(measured) << measured.error().text();
  const auto result = to_json(*measured);
  EXPECT_EQ(keys_of(result.at("unix")), std::set<std::string>{"pipeline_oneway"});
  EXPECT_EQ(keys_of(result.at("tcp")), std::set<std::string>{"pingpong_blocking_ns"});
  EXPECT_FALSE(result.contains("cache_line_rtt_ns"));
  const auto& list = result.at("unix").at("pipeline_oneway").as_array();
  ASSERT_EQ(list.size(), 2u);
  for (const auto& one : list) {
    EXPECT_EQ(one.at("size").to_number<int>(), 1024);
    EXPECT_LE(one.at("messages_per_second_min").to_number<double>(), one.at("messages_per_second").to_number<double>());
    EXPECT_GE(one.at("messages_per_second_max").to_number<double>(), one.at("messages_per_second").to_number<double>());
  }
}

TEST(limits, table_has_a_line_for_each_figure_and_names_what_failed) {
  limits measured;
  measured.cache_line_p50_ns.samples = {110, 112, 490};
  measured.unix_socket.raw_oneway.push_back({64, 262144, {{1.4e6}}});
  measured.failures.push_back({"tcp.echo.1.1", "no luck"});
  const auto text = to_table(measured);
  EXPECT_NE(text.find("cache line, to and fro, p50       112 ns  110 ns .. 490 ns\n"), std::string::npos) << text;
  EXPECT_NE(text.find("unix raw, 64 B, buffer 256 KiB"), std::string::npos) << text;
  EXPECT_NE(text.find("89.6 MB/s"), std::string::npos) << text;
  EXPECT_NE(text.find("failed: tcp.echo.1.1: no luck"), std::string::npos) << text;
}

TEST(limits, a_whole_name_means_that_measurement_alone) {
  if (one_core()) GTEST_SKIP() << "needs two cores";
  auto options = limits_options::quick();
  options.only = {"unix.echo.1.1"};  // also how unix.echo.1.16 begins
  int announced = 0;
  options.progress = [&](std::string_view, int, int total) { announced = total; };
  ASSERT_TRUE(measure_limits(options));
  EXPECT_EQ(announced, 1);
}

TEST(limits, refuses_a_name_that_no_measurement_has) {
  auto options = limits_options::quick();
  options.only = {"pipes"};
  const auto measured = measure_limits(options);
  ASSERT_FALSE(measured);
  EXPECT_EQ(measured.error().reason(), errc::misuse);
  EXPECT_NE(measured.error().text().find("'pipes'"), std::string::npos);
}

TEST(limits, refuses_runs_out_of_range) {
  auto options = limits_options::quick();
  for (const int runs : {-1, 0, 101}) {
    options.runs = runs;
    EXPECT_EQ(measure_limits(options).error().reason(), errc::misuse) << runs;
  }
}

TEST(limits, names_are_unique) {
  const auto names = limit_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

TEST(limits, go_on_when_one_measurement_fails_and_name_it) {
  auto options = limits_options::quick();
  options.only = {"memcpy", "unix.pingpong_blocking"};
  options.pin = core_pair{0, 1'000'000};  // memcpy runs on the first one alone
  const auto measured = measure_limits(options);
  ASSERT_TRUE(measured);
  EXPECT_FALSE(measured->memcpy_hot.empty());
  ASSERT_EQ(measured->failures.size(), 1u);
  EXPECT_EQ(measured->failures[0].name, "unix.pingpong_blocking");
  EXPECT_TRUE(children_are_gone());
}

TEST(pipeline_limit, carries_messages_as_large_as_its_buffer_allows) {
  for (const auto kind : {stream_kind::unix_socket, stream_kind::tcp}) {
    const auto run = measure_pipeline(kind, 4096 - 10, 4096, 20ms, {});
    ASSERT_TRUE(run) << run.error().text();
    EXPECT_GT(run->messages, 0u);
    EXPECT_EQ(run->bytes, run->messages * (4096 - 10));
  }
}

TEST(pipeline_limit, goes_through_tls_too) {
  const auto run = measure_tls_pipeline(1000, 65536, 20ms, {});
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->messages, 0u);
  EXPECT_EQ(run->bytes, run->messages * 1000);
  EXPECT_EQ(measure_tls_pipeline(7, 4096, 1ms, {}).error().reason(), errc::misuse);
}

TEST(pipeline_limit, refuses_sizes_out_of_range) {
  EXPECT_EQ(measure_pipeline(stream_kind::unix_socket, 7, 4096, 1ms, {}).error().reason(), errc::misuse);
  EXPECT_EQ(measure_pipeline(stream_kind::unix_socket, 4096 - 9, 4096, 1ms, {}).error().reason(), errc::misuse);
  EXPECT_EQ(measure_raw(stream_kind::unix_socket, 4097, 4096, 1ms, {}).error().reason(), errc::misuse);
}

TEST(raw_limit, counts_messages_that_no_read_holds_whole) {
  const auto run = measure_raw(stream_kind::unix_socket, 1 << 20, 1 << 20, 20ms, {});
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_EQ(run->messages % 16, 0u);  // the writer looks at the clock after 16
  EXPECT_EQ(run->bytes, run->messages << 20);
}

TEST(pingpong_limit, ends_after_the_count_asked_for) {
  const auto run = measure_pingpong(stream_kind::tcp, wait_mode::blocking, {}, 60s, 100);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_EQ(run->round_trips, 100u);
  EXPECT_LE(run->p50_ns, run->p99_ns);
}

TEST(statistics, percentile_takes_the_nearest_rank) {
  std::vector<int> samples{5, 1, 4, 2, 3};
  EXPECT_EQ(percentile(samples, 0), 1);
  EXPECT_EQ(percentile(samples, 0.2), 1);
  EXPECT_EQ(percentile(samples, 0.21), 2);
  EXPECT_EQ(percentile(samples, 0.5), 3);
  EXPECT_EQ(percentile(samples, 0.99), 5);
  samples.clear();
  EXPECT_EQ(percentile(samples, 0.5), 0);
}

TEST(statistics, median_of_an_even_number_is_the_mean_of_the_middle_two) {
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({}), 0);
}

}  // namespace
}  // namespace ferry::bench
