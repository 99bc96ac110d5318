#pragma once
/// A program that is run for its answer: what it is told on standard input, and the status that it ends with.

#include <ferry/error.hpp>

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// Killed with what it has started, and reaped, when the object goes before it was reaped. One thread uses it.
class child_process {
 public:
  static constexpr std::size_t k_most_input = 16 * 1024;  ///< bytes

  /// Its standard output goes nowhere, its standard error is ours; it has none of our other descriptors, and its
  /// signals have their default actions.
  /// @param words  the program, looked up in PATH if it has no slash, and its arguments; no shell sees them
  /// @param environment  "NAME=VALUE", all that it gets @param input  at most k_most_input bytes, then their end
  /// @return why it cannot be started
  [[nodiscard]] static result<child_process> start(const std::vector<std::string>& words,
                                                   const std::vector<std::string>& environment, std::string_view input);
  child_process(child_process&& other) noexcept
      : number_(std::exchange(other.number_, -1)), ended_(std::move(other.ended_)) {}
  child_process& operator=(child_process&&) = delete;
  ~child_process();

  /// Readable when it has ended. The object's own.
  [[nodiscard]] int ended_fd() const noexcept { return ended_.get(); }
  /// Waits for its end. @return its exit status | 128 + the signal that ended it | -1: not to be known
  [[nodiscard]] int reap() noexcept;

  /// Reaps children of this process that have ended and that no object of this class stands for: those who were given
  /// to process 1 when their parents ended. Needs /proc. Thread safety: from any thread.
  static void reap_orphans();

 private:
  child_process(pid_t number, unique_fd ended) : number_(number), ended_(std::move(ended)) {}
  pid_t number_;  // -1: reaped
  unique_fd ended_;
};

}  // namespace ferry::os
