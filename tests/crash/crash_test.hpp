#pragma once
/// The fixture of the crash tests: a survivor (this process), its directory, the peers that it starts, and what it
/// holds of the system.

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "numbered.hpp"
#include "os/mapping.hpp"
#include "rounds.hpp"
#include "testing/child.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

/// What this process and the system hold. Sizes in KiB.
struct footprint {
  std::size_t descriptors = 0;
  std::size_t ring_mappings = 0;  ///< of rings, in this process
  std::uint64_t resident = 0;     ///< of this process
  std::uint64_t shared = 0;       ///< of the whole system: other programs change it too
  std::set<std::string> dev_shm;  ///< entries of ours would be named so

  [[nodiscard]] static footprint now() {
    footprint f;
    for (const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) {
      (void)one;
      f.descriptors += 1;
    }
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) f.ring_mappings += line.find("memfd:ferry:") != line.npos;
    f.resident = kib("/proc/self/status", "VmRSS:");
    f.shared = kib("/proc/meminfo", "Shmem:");
    std::error_code ignored;
    for (const auto& one : std::filesystem::directory_iterator("/dev/shm", ignored))
      if (one.path().string().find("ferry") != std::string::npos) f.dev_shm.insert(one.path());
    return f;
  }

 private:
  static std::uint64_t kib(const char* path, std::string_view name) {
    std::ifstream from(path);
    for (std::string line; std::getline(from, line);)
      if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size(), nullptr, 10);
    return 0;
  }
};

/// A receiver_log that a child writes and that outlives it.
class shared_log {
 public:
  shared_log() {
    fd_ = os::create_memory("crash-log", k_bytes, false).value();
    at_ = os::mapping::of(fd_.get(), k_bytes, true).value();
    new (at_.data()) receiver_log;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const receiver_log& operator*() const { return *reinterpret_cast<receiver_log*>(at_.data()); }
  [[nodiscard]] const receiver_log* operator->() const { return &**this; }

 private:
  static constexpr std::size_t k_bytes = 4096;
  static_assert(sizeof(receiver_log) <= k_bytes);
  os::unique_fd fd_;
  os::mapping at_;
};

class crash : public ::testing::Test {
 protected:
  // What an io_context opens at its first use is not counted against a channel.
  crash() { listener::open(where, "shm://first-use", settings()).value().close(); }
  /// Nothing but the peer's socket tells of its death: no deadline is set.
  [[nodiscard]] options settings() const {
    options o;
    o.runtime_dir = dir.path();
    o.ring_bytes = k_numbered_ring;
    o.write_timeout = options::duration{0};
    return o;
  }
  [[nodiscard]] options reconnecting() const {
    options o = settings();
    o.reconnect = true;
    o.reconnect_base = o.reconnect_max = std::chrono::milliseconds(2);
    o.max_send_attempts = 0;
    return o;
  }
  static constexpr const char* k_reconnecting =
      "&reconnect=on&reconnect_base=2ms&reconnect_max=2ms&max_send_attempts=0&connect_timeout=30s";

  [[nodiscard]] static std::string peer_url(const std::string& more = "") {
    return "shm://meeting?ring_bytes=64KiB&write_timeout=0" + more;
  }
  [[nodiscard]] std::unique_ptr<child> start_peer(std::vector<std::string> arguments,
                                                  std::vector<int> descriptors = {}) const {
    arguments.insert(arguments.begin(), FERRY_CRASH_PEER);
    return std::make_unique<child>(std::move(arguments),
                                   child_options{{"RUNTIME_DIRECTORY=" + dir.path().string()}, std::move(descriptors)});
  }
  /// Turns the event loop until the child has said that it is ready.
  [[nodiscard]] ::testing::AssertionResult ready(child& one) {
    return turn([&] { return one.read_line(child::duration{0}) == "ready"; }, "a peer that is ready");
  }
  /// @return its status: 137 if it was alive until now
  static int kill_and_reap(child& one) {
    one.kill(SIGKILL);
    return one.wait().value_or(-1);
  }

  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  /// Lets the event loop run up to a moment that nobody can foresee.
  void turn_until_some_moment(std::chrono::microseconds at_most) {
    io.restart();
    const auto work = boost::asio::make_work_guard(io);
    io.run_for(std::chrono::microseconds(std::uniform_int_distribution<long>(0, at_most.count())(random)));
    io.restart();
  }

  [[nodiscard]] listener listen(const options& with) {
    auto made = listener::open(where, "shm://meeting", with);
    if (!made) ADD_FAILURE() << made.error().text();
    return made ? *made : listener{};
  }
  [[nodiscard]] channel open(const options& with) {
    auto made = channel::open(where, "shm://meeting", with);
    if (!made) ADD_FAILURE() << made.error().text();
    return made ? *made : channel{};
  }
  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& one : std::filesystem::directory_iterator(dir.path())) names.insert(one.path().filename());
    return names;
  }
  /// Soon this process holds no more than it did. Soon, because somebody may just be arriving, dead already.
  void expect_no_more_than(const footprint& before) {
    EXPECT_TRUE(turn([&] { return footprint::now().descriptors <= before.descriptors; }, "descriptors given back"));
    EXPECT_TRUE(turn([&] { return footprint::now().ring_mappings <= before.ring_mappings; }, "rings given back"));
    // One connection kept by mistake would cost 128 KiB and more in each round.
    EXPECT_LT(footprint::now().resident, before.resident + 64 * 1024) << "KiB";
  }
  /// Once every channel is gone. @param before  taken when the first one had been
  void expect_nothing_left(const footprint& before) {
    io.restart();
    io.poll();
    expect_no_more_than(before);
    const auto after = footprint::now();
    EXPECT_EQ(after.dev_shm, before.dev_shm);
    // Other programs on this machine count too; what they take for a while is waited for.
    EXPECT_TRUE(turn([&] { return footprint::now().shared < before.shared + 64 * 1024; }, "shared memory given back"));
    RecordProperty("resident_growth_kib", std::to_string(static_cast<long>(after.resident - before.resident)));
    RecordProperty("shared_growth_kib", std::to_string(static_cast<long>(after.shared - before.shared)));
  }

  boost::asio::io_context io;
  temp_dir dir;
  context where{io};
  std::mt19937 random{std::random_device{}()};
};

}  // namespace ferry::test
