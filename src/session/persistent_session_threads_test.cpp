// Both sides of a session on two threads over one memory: the shipped code, as two processes run it. Each of them comes
// back now and then, while the other one goes on.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "testing/session_world.hpp"

namespace ferry::test {
namespace {

constexpr auto k_process = session::durability::process;

TEST(persistent_session_on_two_threads, books_and_answers_everything_once_while_each_comes_back_now_and_then) {
  constexpr std::uint64_t k_requests = 20'000;
  session_memory memory;
  std::atomic<bool> over{false};
  std::array<std::string, 2> failures;
  std::array<counters, 2> ends;
  const auto live = [&](int who) {
    try {
      session_side<ring::direct_stores> side(memory, who, k_process);
      for (std::uint64_t turn = 0; !over; ++turn) {
        if (turn % 512 == 0) {
          side.recover();
          side.attach();
        }
        if (!side.work(1 + turn % 4, k_requests)) std::this_thread::yield();
        if (who == 0 && side.counted.in == k_requests) over = true;
      }
      ends[static_cast<std::size_t>(who)] = side.counted;
    } catch (const std::exception& e) {
      failures[static_cast<std::size_t>(who)] = e.what();
      over = true;
    }
  };
  std::thread server([&] { live(1); });
  live(0);
  server.join();
  EXPECT_EQ(failures[0], "");
  EXPECT_EQ(failures[1], "");
  EXPECT_EQ(ends[0], (counters{k_requests, k_requests}));
  EXPECT_EQ(ends[1], (counters{k_requests, k_requests}));
}

}  // namespace
}  // namespace ferry::test
