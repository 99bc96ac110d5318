// What `cpuprof` and `lookup heap` of a running gateway write, as pprof would read it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "apps/ferry/gateway_under_test.hpp"
#include "testing/sanitizers.hpp"

namespace ferry::app {
namespace {

using gateway_profile = test::gateway_process;

// A profile of processor time, as gperftools lays it out: words of 8 bytes (0, 3, 0, microseconds, 0), samples (how
// often, how deep, addresses), an end (0, 1, 0), then the lines of /proc/self/maps.
struct cpu_profile {
  std::uint64_t microseconds = 0, samples = 0;
  std::vector<std::vector<std::uint64_t>> stacks;
  std::string maps;
};

testing::AssertionResult read(const std::string& text, cpu_profile& into) {
  std::size_t at = 0;
  const auto next = [&] {
    std::uint64_t word = UINT64_MAX;
    if (at + 8 <= text.size()) std::memcpy(&word, text.data() + at, 8);
    at += 8;
    return word;
  };
  if (next() != 0 || next() != 3 || next() != 0) return testing::AssertionFailure() << "this is no header";
  into.microseconds = next();
  if (next() != 0) return testing::AssertionFailure() << "this is no header";
  while (at + 24 <= text.size()) {
    const auto count = next(), depth = next();
    if (depth == 0 || depth > 254) return testing::AssertionFailure() << depth << " deep";
    std::vector<std::uint64_t> stack(depth);
    for (auto& one : stack) one = next();
    if (count == 0) {
      into.maps = text.substr(std::min(at, text.size()));
      return testing::AssertionSuccess();
    }
    into.samples += count;
    into.stacks.push_back(std::move(stack));
  }
  return testing::AssertionFailure() << "its end is missing";
}

// Whether that address is in code of a file whose path ends so, "START-END r-xp OFFSET DEVICE INODE PATH".
bool is_in(const std::string& maps, std::uint64_t address, const std::string& path) {
  std::istringstream lines(maps);
  for (std::string line; std::getline(lines, line);) {
    char* end = nullptr;
    const auto from = std::strtoull(line.c_str(), &end, 16);
    const auto to = *end == '-' ? std::strtoull(end + 1, nullptr, 16) : 0;
    if (from <= address && address < to) return line.ends_with(path);
  }
  return false;
}

std::uint64_t ticks_of(pid_t process) {
  const auto line = test::content_of("/proc/" + std::to_string(process) + "/stat");
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::string skipped;
  std::uint64_t user = 0, kernel = 0;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  rest >> user >> kernel;
  return user + kernel;
}

TEST_F(gateway_profile, of_processor_time_has_samples_of_the_gateway_or_it_was_built_without) {
  start_at_home({});
  const auto clients = port_on_next_line();
  (void)port_on_next_line();
  const auto begun = answer_to("cpuprof start\n");
  if (!FERRY_HAS_PROFILER) {
    EXPECT_NE(begun.find("built without gperftools"), std::string::npos) << begun;
    return;
  }
  EXPECT_EQ(begun, "ferry: samples go to ferry.cpu.prof");
  EXPECT_NE(answer_to("cpuprof start\n").find("it has begun, with ferry.cpu.prof"), std::string::npos);
  // Pings, until it has worked for a quarter of a second.
  const auto wire = codec::gateway::encode(codec::gateway::command::ping());
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += as_text(wire.view());
  ferry::test::raw_tcp pinging(static_cast<std::uint16_t>(std::stoi(clients)));
  const auto enough = ticks_of(it->pid()) + static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)) / 4;
  while (ticks_of(it->pid()) < enough) {
    pinging.send(pings);
    while (pinging.received().size() < pings.size() && !pinging.ended()) std::this_thread::yield();
    ASSERT_EQ(pinging.take(pings.size()), pings);
  }
  const auto ended = answer_to("cpuprof stop\n");
  EXPECT_TRUE(ended.starts_with("PROFILE: ")) << "what gperftools itself says: " << ended;
  EXPECT_EQ(it->read_error_line(), "ferry: ferry.cpu.prof is written");
  cpu_profile made;
  ASSERT_TRUE(read(test::content_of(place.file("ferry.cpu.prof")), made));
  EXPECT_GT(made.microseconds, 0u);
  EXPECT_GE(made.samples, 3u) << "of 25";
  EXPECT_TRUE(std::any_of(made.stacks.begin(), made.stacks.end(), [&](const auto& stack) {
    return std::any_of(stack.begin(), stack.end(),
                       [&](std::uint64_t address) { return is_in(made.maps, address, "/ferry"); });
  })) << made.maps;
  EXPECT_NE(answer_to("cpuprof stop\n").find("none is under way"), std::string::npos);
}

TEST_F(gateway_profile, of_memory_says_who_allocated_where_the_heap_profiler_runs) {
  const std::string library = FERRY_HEAP_PROFILER_LIBRARY;
  if (library.empty()) GTEST_SKIP() << "there is no libtcmalloc";
  if (ferry::test::k_checks_addresses || ferry::test::k_checks_threads)
    GTEST_SKIP() << "sanitizers have an allocator of their own";
  start_at_home({}, {},
                {"env", "LD_PRELOAD=" + library, "HEAPPROFILE=" + place.file("dump"), "HEAP_PROFILE_INUSE_INTERVAL=0",
                 "HEAP_PROFILE_ALLOCATION_INTERVAL=0"});
  while (it->read_error_line().value_or("servers: listening on nothing").find("servers: listening on") ==
         std::string::npos) {
  }
  EXPECT_EQ(answer_to("lookup heap\n"), "ferry: ferry.heap.prof is written");
  const auto text = test::content_of(place.file("ferry.heap.prof"));
  // "heap profile: BLOCKS: BYTES [ ... ] @ ...", then "BLOCKS: BYTES [ ... ] @ ADDRESS..." for each place.
  ASSERT_TRUE(text.starts_with("heap profile: ")) << text.substr(0, 200);
  std::istringstream first(text.substr(13));
  std::uint64_t blocks = 0, bytes_in_use = 0;
  char colon = 0;
  EXPECT_TRUE(first >> blocks >> colon >> bytes_in_use) << text.substr(0, 200);
  EXPECT_GT(blocks, 0u);
  EXPECT_GT(bytes_in_use, 0u);
  EXPECT_NE(text.find("] @ 0x"), std::string::npos) << "who";
  EXPECT_NE(text.find("\nMAPPED_LIBRARIES:\n"), std::string::npos);
  EXPECT_NE(text.find("/ferry\n"), std::string::npos);
}

TEST_F(gateway_profile, of_memory_says_how_to_know_who_allocated_where_it_does_not) {
  start_at_home({});
  (void)port_on_next_line();
  (void)port_on_next_line();
  EXPECT_EQ(answer_to("lookup heap\n"), "ferry: ferry.heap.prof is written");
  const auto text = test::content_of(place.file("ferry.heap.prof"));
  EXPECT_TRUE(text.starts_with("pool: ")) << text;
  EXPECT_NE(text.find("LD_PRELOAD=libtcmalloc.so.4 HEAPPROFILE="), std::string::npos) << text;
}

}  // namespace
}  // namespace ferry::app
