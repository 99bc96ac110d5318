#pragma once
/// Child processes of a measurement: forked, pinned, started together, always reaped.

#include <ferry/error.hpp>

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "os/unique_fd.hpp"

namespace ferry::bench {

/// One T in memory that children share with their parent; where children leave their figures.
template <class T>
class shared {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  /// Throws std::bad_alloc when the system has no memory left.
  shared() : memory_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    value_ = new (memory_) T{};
  }
  shared(const shared&) = delete;
  shared& operator=(const shared&) = delete;
  ~shared() { ::munmap(memory_, sizeof(T)); }

  T* operator->() const noexcept { return value_; }
  T& operator*() const noexcept { return *value_; }

 private:
  void* memory_;
  T* value_ = nullptr;
};

namespace detail {
/// What a child says about its end; the parent reads it after the child is gone.
struct report {
  std::atomic<int> outcome;  // 0 running, 1 done, 2 failed
  int code;                  // errc of a failure that is no system call's, else 0
  int system_errno;
  char what[512];
};
inline constexpr std::size_t k_max_children = 8;
struct board {
  std::atomic<std::uint32_t> arrived;
  std::uint32_t expected;
  report reports[k_max_children];
};
}  // namespace detail

/// What a child's body knows of itself. All its functions are called in the child only.
class child {
 public:
  child(detail::board& board, detail::report& mine) noexcept : board_(board), mine_(mine) {}

  /// Returns once every child of the group has called it: set-up is over, the measurement begins.
  void rendezvous() noexcept;
  /// As rendezvous, but does not wait: for who serves while others set themselves up.
  void arrive() noexcept;
  /// Ends the process; the parent learns `what` and errno.
  [[noreturn]] void fail(const char* what) noexcept;
  /// The same for what no system call reported.
  [[noreturn]] void fail(errc code, const char* what) noexcept;
  /// `outcome` if it is not negative, else fail(what).
  template <class Int>
  Int check(Int outcome, const char* what) noexcept {
    if (outcome < 0) fail(what);
    return outcome;
  }

 private:
  detail::board& board_;
  detail::report& mine_;
};

/// The children of one measurement. They die with the parent's thread (PR_SET_PDEATHSIG) and with this object; after
/// wait() or destruction none exists, not even as a zombie. Not thread-safe.
class child_group {
 public:
  /// @param expected children, 1 .. 8; rendezvous() waits for all of them
  explicit child_group(std::uint32_t expected);
  child_group(const child_group&) = delete;
  child_group& operator=(const child_group&) = delete;
  ~child_group();

  /// Forks; the child pins itself to `core` if there is one, runs `body`, and ends without running destructors or
  /// exit handlers. The body's return is success, a ferry::failure that it throws is its failure. `role` names it in
  /// errors.
  [[nodiscard]] result<void> start(std::string role, std::optional<int> core, const std::function<void(child&)>& body);

  /// Waits until all have ended. The first failure, or the end of `limit`, kills the others.
  /// @return nothing | the failed child's error, its text preceded by its role | errc::timeout
  [[nodiscard]] result<void> wait(std::chrono::nanoseconds limit);

 private:
  struct member {
    std::string role;
    int pid = -1;          // -1 once reaped
    os::unique_fd handle;  // pidfd; none once reaped
  };
  [[noreturn]] void run_child(std::size_t index, std::optional<int> core, int parent,
                              const std::function<void(child&)>& body) noexcept;
  void reap(member& one) noexcept;
  void kill_all() noexcept;
  [[nodiscard]] result<void> outcome_of(std::size_t index) const;

  shared<detail::board> board_;
  std::vector<member> members_;
};

/// What one child of a measurement does.
struct child_part {
  std::string role;
  std::optional<int> core;
  std::function<void(child&)> body;
};
/// Starts a child for each part, in this order, and waits for all. @return as child_group::start and wait
[[nodiscard]] result<void> run_together(const std::vector<child_part>& parts, std::chrono::nanoseconds limit);

/// How long to wait for children that measure for `duration`: generous, since only a defect or a stopped machine needs
/// it.
[[nodiscard]] inline std::chrono::nanoseconds patience(std::chrono::nanoseconds duration) noexcept {
  return duration * 5 + std::chrono::seconds(20);
}

/// CLOCK_MONOTONIC, comparable between processes.
[[nodiscard]] inline std::int64_t now_ns() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace ferry::bench
