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

}  // namespace ferry::test
