#pragma once
/// Waiting for an event in a test, under a limit of wall time that only a hang can reach.

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>

namespace ferry::test {

/// Long enough for a sanitizer build on a busy machine; below ctest's own limit, so that the reason is printed.
inline constexpr std::chrono::seconds k_patience{60};

[[nodiscard]] inline ::testing::AssertionResult gave_up(std::string_view awaited, std::chrono::seconds limit) {
  return ::testing::AssertionFailure() << "gave up after " << limit.count() << " s waiting for: " << awaited;
}

/// Runs `io` on this thread until `done()` is true, also when io has nothing to do meanwhile. `done` is asked before
/// the first handler, after each one, and every 10 ms (for what other threads and processes change). The context stays
/// usable afterwards. Use: ASSERT_TRUE(run_until(io, [&] { return received == 3; }, "the third message")).
template <class Predicate>
[[nodiscard]] ::testing::AssertionResult run_until(boost::asio::io_context& io, Predicate done,
                                                   std::string_view awaited, std::chrono::seconds limit = k_patience) {
  const auto work = boost::asio::make_work_guard(io);
  const auto end = std::chrono::steady_clock::now() + limit;
  if (io.stopped()) io.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return gave_up(awaited, limit);
    io.run_one_for(std::chrono::milliseconds(10));
    if (io.stopped()) io.restart();
  }
  return ::testing::AssertionSuccess();
}

/// Runs what is ready in `io` and returns; waits for nothing. For showing that something does not happen by itself.
inline void run_ready(boost::asio::io_context& io) {
  if (io.stopped()) io.restart();
  io.poll();
}

/// Something that one thread announces and others wait for. Thread safety: all members, from any thread.
class event {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool is_set() const {
    const std::lock_guard lock(mutex_);
    return set_;
  }
  [[nodiscard]] ::testing::AssertionResult wait(std::string_view awaited, std::chrono::seconds limit = k_patience) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, limit, [this] { return set_; })) return ::testing::AssertionSuccess();
    return gave_up(awaited, limit);
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace ferry::test
