#pragma once
/// Two programs that speak tcpshm to each other, are killed, and start again; either may be ours or another one.

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "os/mapping.hpp"
#include "testing/child.hpp"
#include "testing/tcpshm_pair.hpp"
#include "tests/crash/tcpshm_log.hpp"

namespace ferry::test {

/// How to start a program that takes the arguments of tests/crash/tcpshm_peer.cpp.
using program = std::vector<std::string>;

class tcpshm_world {
 public:
  /// @param sessions  "ferry": over persistent sessions; "disk": over those on disk
  tcpshm_world(program server, program client, bool shm, std::string sessions = {})
      : server_program_(std::move(server)),
        client_program_(std::move(client)),
        shm_(shm),
        sessions_(std::move(sessions)) {
    std::ofstream(log_path_) << std::string(k_tcpshm_log_bytes, '\0');
    const auto file = os::open_file(log_path_, true);
    map_ = os::mapping::of(file.value().get(), k_tcpshm_log_bytes, true).value();
    log().spread = 200;
  }

  [[nodiscard]] tcpshm_log& log() { return *reinterpret_cast<tcpshm_log*>(map_.data()); }
  void start_server() { server_ = start(server_program_, {"server", server_files_.path(), log_path_, server_name_}); }
  void start_client() {
    client_ = start(client_program_, {"client", client_files_.path(), log_path_, client_name_, shm_ ? "shm" : "tcp"});
  }
  void kill_server() {
    end(*server_);
    log().port = 0;
  }
  void kill_client() { end(*client_); }
  [[nodiscard]] ::testing::AssertionResult until(const std::function<bool()>& done, std::string_view awaited) {
    const auto both = poll_until(
        meanwhile, [&] { return done() || log().wrong != 0; }, awaited);
    if (log().wrong != 0) return ::testing::AssertionFailure() << log().complaint;
    return both ? both : ::testing::AssertionFailure() << both.message() << state();
  }
  [[nodiscard]] ::testing::AssertionResult until_more_echoes(std::uint64_t more) {
    const auto wanted = log().echoed + more;
    return until([&] { return log().echoed >= wanted; }, "echoes");
  }
  /// Lets them run up to a moment that nobody can foresee.
  void let_run(std::chrono::microseconds at_most) {
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::microseconds(std::uniform_int_distribution<long>(0, at_most.count())(random));
    while (std::chrono::steady_clock::now() < end) meanwhile();
  }
  /// Kills one of them, or both, `kills` times; at the end everything that was sent has been echoed, once, in order.
  void kill_at_random(std::uint64_t kills, std::chrono::microseconds at_most) {
    start_server();
    start_client();
    for (std::uint64_t i = 0; i < kills; ++i) {
      if (i % 8 == 0) {
        ASSERT_TRUE(until_more_echoes(20)) << "after " << i << " kills";
      }
      let_run(at_most);
      const auto whom = std::uniform_int_distribution<int>(0, 4)(random);
      if (whom != 0 && whom != 1) kill_server();
      if (whom != 2 && whom != 3) kill_client();
      if (whom != 0 && whom != 1) start_server();
      if (whom != 2 && whom != 3) start_client();
      ASSERT_EQ(log().wrong, 0u) << log().complaint << " after " << i << " kills";
    }
    ASSERT_TRUE(until_more_echoes(100)) << "after the last kill";
  }

  std::mt19937 random{std::random_device{}()};
  /// What is done while the two of them are at work.
  std::function<void()> meanwhile = [] { std::this_thread::yield(); };

 private:
  [[nodiscard]] std::unique_ptr<child> start(const program& what, const std::vector<std::string>& arguments) const {
    program all = what;
    all.insert(all.end(), arguments.begin(), arguments.end());
    if (!sessions_.empty()) all.push_back(sessions_);
    return std::make_unique<child>(all);
  }
  static void end(child& one) {
    one.kill(SIGKILL);
    const auto status = one.wait();
    if (status != 137) one.read_all();
    EXPECT_EQ(status, 137) << one.error_output();
  }
  [[nodiscard]] std::string state() {
    return "; logins " + std::to_string(log().logins) + ", served " + std::to_string(log().served) + ", echoed " +
           std::to_string(log().echoed);
  }

  program server_program_, client_program_;
  bool shm_;
  std::string sessions_;
  temp_dir server_files_, client_files_, log_files_;
  std::string server_name_ = unique_name("s"), client_name_ = unique_name("c");
  clean_rings rings_{server_name_, client_name_};
  std::string log_path_ = log_files_.file("log");
  os::mapping map_;
  std::unique_ptr<child> server_, client_;
};

}  // namespace ferry::test
