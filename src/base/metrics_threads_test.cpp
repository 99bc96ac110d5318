#include <ferry/metrics.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace ferry {
namespace {

constexpr int k_threads = 3;

TEST(metrics_threads, a_shared_counter_loses_nothing) {
  counter c;
  gauge g;
  {
    std::vector<std::jthread> workers;
    for (int id = 0; id < k_threads; ++id)
      workers.emplace_back([&] {
        for (int i = 0; i < 50'000; ++i) {
          c.add_shared();
          g.add_shared(i % 2 == 0 ? 1 : -1);
        }
      });
  }
  EXPECT_EQ(c.value(), k_threads * 50'000u);
  EXPECT_EQ(g.value(), 0);
}

TEST(metrics_threads, a_histogram_may_be_read_while_one_thread_records) {
  histogram h;
  std::atomic<bool> done{false};
  std::jthread writer([&] {
    for (std::uint64_t i = 0; i < 200'000; ++i) h.record(i % 1000);
    done.store(true);
  });
  std::uint64_t seen = 0;
  while (!done.load()) {
    const auto s = h.snapshot();
    ASSERT_GE(s.count(), seen) << "nothing recorded is ever taken back";
    ASSERT_LE(s.p999(), 1023u);
    seen = s.count();
  }
  writer.join();
  EXPECT_EQ(h.snapshot().count(), 200'000u);
  EXPECT_EQ(h.snapshot().sum(), 200u * 499'500u);
}

TEST(metrics_threads, instruments_come_and_go_while_snapshots_are_taken) {
  metrics_registry registry;
  const auto always = registry.add({.name = "always", .labels = {}, .help = {}}, std::make_shared<counter>());
  std::atomic<int> running{k_threads};
  std::vector<std::jthread> workers;
  for (int id = 0; id < k_threads; ++id)
    workers.emplace_back([&, id] {
      const auto number = static_cast<std::uint64_t>(id);
      for (int round = 0; round < 3'000; ++round) {
        const auto c = std::make_shared<counter>();
        c->add(number);
        const auto mine = registry.add({.name = "c" + std::to_string(id), .labels = {}, .help = {}}, c);
        const auto twin = registry.add({.name = "d" + std::to_string(id), .labels = {}, .help = {}}, c);
      }
      running.fetch_sub(1);
    });
  while (running.load() > 0) {
    const auto now = registry.snapshot();
    ASSERT_FALSE(now.empty());
    EXPECT_EQ(now.front().id.name, "always");
    for (std::size_t i = 1; i < now.size(); ++i) ASSERT_EQ(std::to_string(now[i].count), now[i].id.name.substr(1));
  }
  workers.clear();
  EXPECT_EQ(registry.snapshot().size(), 1u);
}

}  // namespace
}  // namespace ferry
