#pragma once
#include <cstddef>
#include <cstdint>

namespace ferry::test {

/// What operator new has been asked for in this program, by all threads.
struct allocation_counts {
  std::uint64_t allocations = 0;  ///< since the start
  std::size_t live_bytes = 0;     ///< allocated and not freed, as the heap rounds them
};
[[nodiscard]] allocation_counts count_allocations() noexcept;

/// While it lives, this thread gets no memory any more after its next `allowed` allocations. One at a time.
class memory_runs_out {
 public:
  explicit memory_runs_out(std::uint64_t allowed) noexcept;
  ~memory_runs_out();
  memory_runs_out(const memory_runs_out&) = delete;
  memory_runs_out& operator=(const memory_runs_out&) = delete;
  /// How many allocations got none.
  [[nodiscard]] std::uint64_t refused() const noexcept;
};

}  // namespace ferry::test
