#include "apps/ferry/bench_time_bar.hpp"

#include <unistd.h>

#include <cstdint>

namespace ferry::app {

time_bar::time_bar(std::chrono::seconds expected)
    : bar_("measuring", static_cast<std::uint64_t>(expected.count()), "s") {
  if (::isatty(STDERR_FILENO) == 1) drawer_ = std::thread([this] { draw(); });
}

time_bar::~time_bar() {
  {
    const std::lock_guard guard(lock_);
    over_ = true;
  }
  over_changed_.notify_one();
  if (drawer_.joinable()) drawer_.join();
}

void time_bar::draw() {
  const auto begun = std::chrono::steady_clock::now();
  std::unique_lock guard(lock_);
  while (!over_changed_.wait_for(guard, std::chrono::milliseconds(200), [this] { return over_; })) {
    const auto passed = std::chrono::steady_clock::now() - begun;
    bar_.update(static_cast<std::uint64_t>(passed / std::chrono::seconds(1)));
  }
}

}  // namespace ferry::app
