#include "apps/ferry/bench_gateway.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "apps/ferry/bench_gateway_load.hpp"

namespace {

using ferry::app::gateway_bench_plan;
using ferry::app::gateway_work;
using ferry::app::run_gateway_bench;

gateway_bench_plan brief() {
  gateway_bench_plan plan;
  plan.duration = std::chrono::milliseconds(50);
  plan.pin = ferry::bench::core_pair{0, 0};  // every machine has that one
  plan.with_relay = false;
  return plan;
}

// A slow machine has no echo in so short a time.
auto run_until_some(gateway_bench_plan plan) {
  auto run = run_gateway_bench(plan);
  while (run && run->echoes == 0 && plan.duration < std::chrono::seconds(5)) {
    plan.duration *= 2;
    run = run_gateway_bench(plan);
  }
  return run;
}

TEST(bench_gateway, counts_checked_echoes_through_a_gateway_on_several_threads) {
  auto plan = brief();
  plan.clients = 8;
  plan.threads = 3;
  plan.window = 4;
  const auto run = run_until_some(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->echoes, 0u);
}

TEST(bench_gateway, counts_checked_echoes_of_clients_by_every_carrier) {
  using ferry::app::gateway_carrier;
  for (const auto carrier : {gateway_carrier::ws, gateway_carrier::snet}) {
    auto plan = brief();
    plan.carrier = carrier;
    plan.window = 4;
    plan.virtual_connections = 2;
    const auto run = run_until_some(plan);
    ASSERT_TRUE(run) << run.error().text();
    EXPECT_GT(run->echoes, 0u) << to_string(carrier);
  }
  auto idle = brief();
  idle.work = gateway_work::idle;
  idle.carrier = gateway_carrier::ws;
  EXPECT_EQ(run_gateway_bench(idle).error(), ferry::errc::misuse);
}

TEST(bench_gateway, counts_checked_echoes_and_the_processor_time_of_the_gateway_alone) {
  auto plan = brief();
  plan.clients = 3;
  plan.virtual_connections = 2;
  plan.window = 4;
  const auto run = run_until_some(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->echoes, 0u);
  EXPECT_EQ(run->latency.count(), run->echoes);
  EXPECT_GT(run->cpu_seconds, 0);
  EXPECT_LT(run->cpu_seconds, run->seconds);
  EXPECT_EQ(run->relay_cpu_ns_per_echo, 0);
}

TEST(bench_gateway, is_followed_by_a_bare_relay_where_that_is_wished) {
  auto plan = brief();
  plan.with_relay = true;
  plan.size = 1024;
  const auto run = run_until_some(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->relay_cpu_ns_per_echo, 0);
  EXPECT_GT(run->ratio(), 0);
}

TEST(bench_gateway, begins_no_more_echoes_than_its_rate_says) {
  auto plan = brief();
  plan.rate = 400;
  plan.clients = 2;
  plan.window = 16;
  const auto run = run_until_some(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->echoes, 0u);
  EXPECT_LE(static_cast<double>(run->echoes), 400 * run->seconds + 32) << "and those that were late";
}

TEST(bench_gateway, counts_from_when_a_question_was_due_also_where_there_was_no_room_for_it) {
  auto plan = brief();
  plan.rate = 1'000'000;  // one after the other: more than any machine does
  const auto run = run_until_some(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->latency.quantile(0.5), 5e6) << "nanoseconds: nearly as long as it has run by then";
}

TEST(bench_gateway, counts_dials) {
  auto plan = brief();
  plan.work = gateway_work::dials;
  const auto run = run_until_some(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_GT(run->echoes, 0u);
}

TEST(bench_gateway, measures_memory_between_a_ninth_of_the_clients_and_all) {
  auto plan = brief();
  plan.work = gateway_work::idle;
  plan.clients = 90;
  const auto run = run_gateway_bench(plan);
  ASSERT_TRUE(run) << run.error().text();
  EXPECT_EQ(run->rss_clients[0], 10u);
  EXPECT_EQ(run->rss_clients[1], 90u);
  EXPECT_GE(run->rss_bytes[1], run->rss_bytes[0]);
}

TEST(bench_gateway, refuses_loads_that_cannot_be) {
  auto plan = brief();
  plan.size = 8;
  EXPECT_EQ(run_gateway_bench(plan).error(), ferry::errc::misuse);
  plan = brief();
  plan.clients = 0;
  EXPECT_EQ(run_gateway_bench(plan).error(), ferry::errc::misuse);
}

TEST(bench_gateway, knows_the_processor_time_of_another_process) {
  EXPECT_GT(ferry::app::process_cpu_seconds(::getpid()), 0);
  EXPECT_LT(ferry::app::process_cpu_seconds(0), 0);
}

}  // namespace
