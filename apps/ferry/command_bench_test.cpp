#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/limits.hpp"
#include "testing/child.hpp"
#include "testing/temp_dir.hpp"

namespace {

namespace json = boost::json;
using ferry::test::child;

struct outcome {
  int status = -1;
  std::string out;
  std::string err;
};

outcome ferry_bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {FERRY_PROGRAM_PATH, "bench"});
  child program(arguments);
  const auto status = program.finish();
  return {status.value_or(-1), program.output(), program.error_output()};
}

json::value parsed(const outcome& from) {
  boost::system::error_code wrong;
  auto value = json::parse(from.out, wrong);
  EXPECT_FALSE(wrong) << from.out << from.err;
  return value;
}

void expect_keys(const json::object& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) EXPECT_TRUE(object.contains(key)) << key << " is missing in " << json::serialize(object);
}

void expect_perfect(const json::object& run) {
  expect_keys(run,
              {"name", "url", "size", "pin", "machine", "messages", "bytes", "seconds", "messages_per_second",
               "bytes_per_second", "lost", "duplicated", "corrupt", "allocations_per_message", "syscalls_per_message"});
  expect_keys(run.at("machine").as_object(), {"cpu", "cores", "kernel", "compiler"});
  EXPECT_GT(run.at("messages").to_number<double>(), 0);
  EXPECT_EQ(run.at("bytes").to_number<std::uint64_t>(),
            run.at("messages").to_number<std::uint64_t>() * run.at("size").to_number<std::uint64_t>());
  for (const char* key : {"lost", "duplicated", "corrupt"})
    EXPECT_EQ(run.at(key).to_number<std::uint64_t>(), 0u) << key;
}

class every_transport : public ::testing::TestWithParam<const char*> {
 protected:
  std::string url() const {
    const std::string scheme = GetParam();
    if (scheme == "ipc") return "ipc://" + directory_.file("bench.sock");
    if (scheme == "shm") return "shm://bench?runtime_dir=" + directory_.path().string();
    return scheme == "tcp" ? "tcp://127.0.0.1:0" : "inproc://bench";
  }
  ferry::test::temp_dir directory_;
};
INSTANTIATE_TEST_SUITE_P(schemes, every_transport, ::testing::Values("inproc", "ipc", "tcp", "shm"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(every_transport, measures_round_trips_and_checks_their_content) {
  const auto done = ferry_bench({"rtt", url(), "--size", "100", "--count", "500", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
  const auto run = parsed(done).as_object();
  expect_perfect(run);
  EXPECT_EQ(run.at("messages").as_int64(), 500);
  const auto& rtt = run.at("rtt_ns").as_object();
  expect_keys(rtt, {"p50", "p90", "p99", "p999", "max"});
  EXPECT_GT(rtt.at("p50").to_number<double>(), 0);
  EXPECT_LE(rtt.at("p50").to_number<double>(), rtt.at("max").to_number<double>());
}

TEST_P(every_transport, counts_every_message_in_one_direction) {
  for (const char* size : {"8", "64", "100KiB"}) {
    const auto done = ferry_bench({"oneway", url(), "--size", size, "--count", "3000", "--json"});
    EXPECT_EQ(done.status, 0) << done.err;
    const auto run = parsed(done).as_object();
    expect_perfect(run);
    EXPECT_EQ(run.at("messages").as_int64(), 3000);
    EXPECT_FALSE(run.contains("rtt_ns"));
  }
}

class every_stream : public every_transport {};
INSTANTIATE_TEST_SUITE_P(schemes, every_stream, ::testing::Values("ipc", "tcp"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(every_stream, measures_each_half_against_raw_bytes) {
  for (const char* half : {"--write-only", "--read-only"}) {
    const auto done =
        ferry_bench({"oneway", url() + "?framing=u32", half, "--size", "1000", "--seconds", "0.05", "--json"});
    EXPECT_EQ(done.status, 0) << half << done.err;
    expect_perfect(parsed(done).as_object());
  }
}

TEST_P(every_stream, is_held_against_the_bare_limit_in_the_same_run) {
  const auto one_way = ferry_bench({"oneway", url(), "--seconds", "0.05", "--limit", "--json"});
  EXPECT_EQ(one_way.status, 0) << one_way.err;
  const auto run = parsed(one_way).as_object();
  expect_keys(run, {"limit_messages_per_second", "limit_bytes_per_second", "limit_buffer", "ratio"});
  EXPECT_GT(run.at("ratio").to_number<double>(), 0);

  const auto there_and_back = ferry_bench({"rtt", url(), "--seconds", "0.05", "--limit", "--json"});
  EXPECT_EQ(there_and_back.status, 0) << there_and_back.err;
  expect_keys(parsed(there_and_back).as_object(), {"limit_rtt_ns", "ratio"});
}

class echoing : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(urls, echoing,
                         ::testing::Values("tcp://127.0.0.1:0", "tcp://127.0.0.1:0?framing=u32",
                                           "tcp://127.0.0.1:0?framing=typed", "ws://127.0.0.1:0/a?b=c",
                                           "ws+raw://127.0.0.1:0"));

TEST_P(echoing, gives_every_byte_back_and_is_held_against_bare_epoll) {
  if (!ferry::bench::two_cores()) GTEST_SKIP() << "needs two cores";
  // 125 and 126 bytes have headers of different length.
  for (const char* size : {"1", "125", "126", "2KiB"}) {
    const auto done = ferry_bench(
        {"echo", GetParam(), "--size", size, "--connections", "3", "--in-flight", "4", "--seconds", "0.05", "--json"});
    EXPECT_EQ(done.status, 0) << done.err;
    const auto run = parsed(done).as_object();
    expect_keys(run, {"size", "connections", "in_flight", "machine", "limit_messages_per_second", "ratio",
                      "allocations_per_message", "syscalls_per_message"});
    EXPECT_GT(run.at("messages").to_number<double>(), 0);
    EXPECT_GT(run.at("ratio").to_number<double>(), 0);
  }
}

TEST(bench_echo, is_not_disturbed_by_pings) {
  if (!ferry::bench::two_cores()) GTEST_SKIP() << "needs two cores";
  const auto done = ferry_bench(
      {"echo", "ws://127.0.0.1:0", "--connections", "3", "--seconds", "0.05", "-o", "ping_interval=2ms", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
}

TEST(bench_echo, says_what_it_does_not_speak_and_what_is_out_of_range) {
  const auto unspoken = ferry_bench({"echo", "ipc://@bench"});
  EXPECT_NE(unspoken.status, 0);
  EXPECT_NE(unspoken.err.find("ipc"), std::string::npos) << unspoken.err;
  const auto too_much = ferry_bench({"echo", "tcp://127.0.0.1:0", "--size", "4KiB", "--in-flight", "9"});
  EXPECT_NE(too_much.status, 0);
  EXPECT_NE(too_much.err.find("in flight"), std::string::npos) << too_much.err;
}

class between_processes : public every_transport {};
INSTANTIATE_TEST_SUITE_P(schemes, between_processes, ::testing::Values("ipc", "tcp", "shm"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(between_processes, measures_persistent_sessions_and_leaves_no_files) {
  const ferry::test::temp_dir temporary;
  const ferry::test::child_options in_it{{"TMPDIR=" + temporary.path().string()}, {}, false};
  // Without a heartbeat, a round trip over which both sides fell asleep would never end.
  const auto in_session =
      url() + (url().find('?') == std::string::npos ? '?' : '&') + "session=persistent&spin=1ms&heartbeat=0";
  for (const char* kind : {"rtt", "oneway"}) {
    child program({FERRY_PROGRAM_PATH, "bench", kind, in_session, "--count", "500", "--repeat", "2", "--json"}, in_it);
    EXPECT_EQ(program.finish(), 0) << program.error_output();
    const auto runs = json::parse(program.output()).as_array();
    ASSERT_EQ(runs.size(), 2u);
    for (const auto& run : runs) expect_perfect(run.as_object());
    EXPECT_TRUE(std::filesystem::is_empty(temporary.path()));
  }
}

TEST_P(between_processes, tells_what_an_idle_connection_costs) {
  for (const char* count : {"90", "1"}) {
    const auto done =
        ferry_bench({"connections", url(), "--count", count, "--active", "1", "--seconds", "0.05", "--json"});
    EXPECT_EQ(done.status, 0) << done.err;
    const auto run = parsed(done).as_object();
    expect_keys(run, {"rss_per_connection", "pss_per_connection", "connections", "rtt_ns"});
    EXPECT_EQ(run.at("descriptors_per_connection").to_number<double>(), std::string_view(count) == "1" ? 0 : 1);
    EXPECT_GT(run.at("messages").to_number<double>(), 0);
    EXPECT_EQ(run.at("corrupt").to_number<double>(), 0);
  }
}

TEST_P(between_processes, takes_messages_of_several_producers_in_the_order_of_each) {
  for (const bool threads : {false, true}) {
    std::vector<std::string> words{"producers", url(),      "--producers", "3",     "--seconds",
                                   "0.05",      "--repeat", "2",           "--json"};
    if (threads) words.emplace_back("--threads");
    const auto done = ferry_bench(words);
    EXPECT_EQ(done.status, 0) << done.err;
    const auto runs = parsed(done).as_array();
    ASSERT_EQ(runs.size(), 2u);
    for (const auto& one : runs) {
      const auto& run = one.as_object();
      EXPECT_EQ(run.at("as").as_string(), threads ? "threads" : "processes");
      EXPECT_GT(run.at("messages").to_number<double>(), 0);
      EXPECT_EQ(run.at("lost").to_number<double>(), 0);
      EXPECT_EQ(run.at("corrupt").to_number<double>(), 0);
    }
  }
}

/// Each has what it was compared with, and whether that is enough.
void expect_comparisons(const outcome& done, std::size_t how_many) {
  EXPECT_EQ(done.status, 0) << done.err;
  const auto found = parsed(done).as_object();
  const auto& figures = found.at("figures").as_object();
  EXPECT_EQ(figures.size(), how_many);
  for (const auto& [name, figure] : figures) {
    const auto& one = figure.as_object();
    EXPECT_GE(one.at("value").to_number<double>(), 0) << name;
    if (one.contains("against")) {
      expect_keys(one, {"against_value", "ratio", "ratio_min", "ratio_max", "rounds"});
      EXPECT_GT(one.at("ratio").to_number<double>(), 0) << name;
    }
    if (!one.contains("reached")) continue;
    const auto judged = one.at(one.contains("ratio") ? "ratio" : "value").to_number<double>();
    EXPECT_EQ(one.at("reached").as_bool(), one.contains("at_most") ? judged <= one.at("at_most").to_number<double>()
                                                                   : judged >= one.at("at_least").to_number<double>())
        << name;
  }
}

TEST(bench, holds_shared_memory_against_its_limits) {
  if (!ferry::bench::two_cores()) GTEST_SKIP() << "wants two cores";
  const ferry::test::temp_dir directory;
  const auto runtime = "runtime_dir=" + directory.path().string();
  expect_comparisons(ferry_bench({"ring", "--quick", "--seconds", "0.05", "-o", runtime, "--json"}), 10);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "something was left behind";
}

TEST(bench, holds_sessions_against_rings_and_the_disk) {
  if (!ferry::bench::two_cores()) GTEST_SKIP() << "wants two cores";
  const ferry::test::temp_dir directory;
  const auto runtime = "runtime_dir=" + directory.path().string();
  const auto files = "dir=" + directory.path().string();
  expect_comparisons(ferry_bench({"session", "--quick", "-o", runtime, "-o", files, "--json"}), 6);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "something was left behind";
}

TEST(bench, measures_a_uds_writer_and_a_uds_reader_like_a_channel) {
  const ferry::test::temp_dir directory;
  const auto done = ferry_bench(
      {"oneway", "ipc://" + directory.file("uds.sock"), "--size", "100", "--count", "20000", "--uds-pair", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
  const auto run = parsed(done).as_object();
  expect_perfect(run);
  EXPECT_EQ(run.at("messages").as_int64(), 20000);
  EXPECT_NE(ferry_bench({"oneway", "tcp://127.0.0.1:0", "--uds-pair"}).status, 0) << "there is no such pair over TCP";
}

TEST(bench, repeats_into_an_array_that_compare_takes) {
  const ferry::test::temp_dir directory;
  const auto path = directory.file("a.json");
  const auto done = ferry_bench({"rtt", "inproc://bench", "--count", "100", "--repeat", "3", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
  const auto runs = parsed(done).as_array();
  ASSERT_EQ(runs.size(), 3u);
  for (const auto& run : runs) expect_perfect(run.as_object());
  std::ofstream(path) << done.out;
  const auto compared = ferry_bench({"compare", path, path, "--json"});
  EXPECT_EQ(compared.status, 0) << compared.err;
  const auto found = parsed(compared).as_object();
  EXPECT_FALSE(found.at("figures").as_array().empty());
}

TEST(bench, prints_a_table_for_people_with_median_and_spread) {
  const auto done = ferry_bench({"rtt", "inproc://bench", "--count", "100", "--repeat", "2"});
  EXPECT_EQ(done.status, 0) << done.err;
  for (const char* word : {"median", "spread", "round trip, p50", "messages per second", "lost", "cores, Linux"})
    EXPECT_NE(done.out.find(word), std::string::npos) << word << "\n" << done.out;
}

TEST(bench, measures_with_another_side_that_somebody_else_runs) {
  const ferry::test::temp_dir directory;
  child server({FERRY_PROGRAM_PATH, "bench", "serve", "ipc://" + directory.file("bench.sock")});
  const auto line = server.read_error_line();
  ASSERT_TRUE(line && line->starts_with("ferry: serving at ipc://")) << line.value_or("(nothing)");
  for (const char* kind : {"rtt", "oneway"}) {
    const auto done =
        ferry_bench({kind, "ipc://" + directory.file("bench.sock"), "--external", "--count", "200", "--json"});
    EXPECT_EQ(done.status, 0) << done.err;
    expect_perfect(parsed(done).as_object());
  }
  server.kill(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(directory.file("bench.sock")));
}

TEST(bench, says_that_nobody_serves) {
  const ferry::test::temp_dir directory;
  const auto done = ferry_bench({"rtt", "ipc://" + directory.file("none"), "--external"});
  EXPECT_EQ(done.status, 1);
  EXPECT_NE(done.err.find("none"), std::string::npos) << done.err;
}

TEST(bench, takes_the_limits_it_is_asked_for) {
  const auto done = ferry_bench({"limits", "--quick", "--only", "memcpy", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
  const auto limits = parsed(done).as_object();
  expect_keys(limits, {"memcpy_bytes_per_second", "machine", "runs"});
  expect_keys(limits.at("machine").as_object(), {"compiler"});
  EXPECT_NE(ferry_bench({"limits", "--list"}).out.find("unix.pipeline_oneway.64.262144\n"), std::string::npos);
}

// Ends with the socket of a measurement at this URL, which is the only thing in `directory`, or after a minute.
bool wait_for_socket(const ferry::test::temp_dir& directory) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  const auto is_socket = [](const auto& one) { return one.is_socket(); };
  for (;;) {
    const std::filesystem::directory_iterator all(directory.path());
    if (std::any_of(begin(all), end(all), is_socket)) return true;
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
}

TEST(bench, leaves_no_socket_behind_when_it_is_interrupted) {
  for (const std::string kind : {"rtt", "oneway", "producers", "connections"})
    for (const bool shm : {false, true}) {
      const ferry::test::temp_dir directory;
      const auto url =
          shm ? "shm://bench?runtime_dir=" + directory.path().string() : "ipc://" + directory.file("bench");
      child bench({FERRY_PROGRAM_PATH, "bench", kind, url, "--seconds", "60"});
      ASSERT_TRUE(wait_for_socket(directory)) << kind << ' ' << url;
      bench.kill(SIGINT);
      EXPECT_EQ(bench.finish(), 128 + SIGINT) << kind << ' ' << url;
      EXPECT_EQ(bench.error_output(), "ferry: interrupted; nothing is left behind\n");
      EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << kind << ' ' << url;
    }
}

TEST(bench, of_limits_that_is_interrupted_says_so_and_leaves_no_process_behind) {
  child bench({FERRY_PROGRAM_PATH, "bench", "limits", "--seconds", "60"});
  const auto task = "/proc/" + std::to_string(bench.pid());
  const auto until = std::chrono::steady_clock::now() + child::k_limit;
  std::string at_work;
  while (at_work.empty() && std::chrono::steady_clock::now() < until)
    std::ifstream(task + "/task/" + std::to_string(bench.pid()) + "/children") >> at_work;
  ASSERT_NE(at_work, "");
  bench.kill(SIGINT);
  EXPECT_EQ(bench.finish(), 128 + SIGINT);
  EXPECT_EQ(bench.error_output(), "ferry: interrupted; nothing is left behind\n");
  EXPECT_FALSE(std::filesystem::exists("/proc/" + at_work));
}

TEST(bench, refuses_what_makes_no_sense_and_says_what_does) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> refused{
      {{"rtt", "ipc://@x", "--size", "7"}, "--size 7: must be a size in bytes"},
      {{"rtt", "ipc://@x", "--size", "11MiB"}, "(max_message)"},
      {{"rtt", "ipc://@x", "--pin", "0"}, "--pin 0: must be two core numbers, such as 0,1"},
      {{"rtt", "ipc://@x", "--seconds", "0"}, "0.01 .. 3600"},
      {{"rtt", "icp://@x"}, "ipc"},
      {{"rtt", "inproc://x", "--limit"}, "no bare limit"},
      {{"oneway", "ipc://@x", "--write-only", "--external"}, "raw peer"},
      {{"oneway", "ipc://@x", "--write-only", "--read-only"}, "--read-only"},
      {{"limits", "--only", "nothing"}, "'nothing'"},
      {{"ring", "--only", "nothing"}, "there are round_trip, "},
      {{"session", "--only", "nothing"}, "there are round_trip, "},
      {{"oneway", "ipc:///x?session=persistent", "--write-only"}, "acknowledges nothing"},
      {{"producers", "inproc://x"}, "stays in one process"},
      {{"producers", "shm://x", "--producers", "8"}, "at most 7"},
      {{"rtt", "ipc://@x", "--pin", "0,9999"}, "--pin 0,9999: this machine has cores 0 .. "},
      {{"connections", "ipc://@x", "--active", "200"}, "--active 200: must be a number, 0 .. 100"},
      {{}, "a command is needed: rtt, "},
  };
  for (const auto& [arguments, said] : refused) {
    const auto done = ferry_bench(arguments);
    EXPECT_NE(done.status, 0) << said;
    EXPECT_NE(done.err.find(said), std::string::npos) << "wanted: " << said << "\ngot: " << done.err;
    EXPECT_TRUE(done.out.empty()) << done.out;
  }
  const auto stays = ferry_bench({"oneway", "inproc://x", "--write-only"});
  EXPECT_EQ(stays.status, 1);
  EXPECT_NE(stays.err.find("stays in one process"), std::string::npos) << stays.err;
}

}  // namespace
