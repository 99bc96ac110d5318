#pragma once
/// A progress bar for what only takes time: measurements in other processes.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "apps/ferry/progress.hpp"

namespace ferry::app {

/// Draws from a thread of its own while it lives, if standard error is a terminal (else there is no thread); no other
/// bar may be there. Processes may be forked meanwhile, as long as they do not draw.
class time_bar {
 public:
  /// @param expected how long it takes; zero: not known
  explicit time_bar(std::chrono::seconds expected);
  ~time_bar();  ///< wipes the bar
  time_bar(const time_bar&) = delete;
  time_bar& operator=(const time_bar&) = delete;

 private:
  void draw();

  progress bar_;
  std::mutex lock_;
  std::condition_variable over_changed_;
  bool over_ = false;  // guarded by lock_
  std::thread drawer_;
};

}  // namespace ferry::app
