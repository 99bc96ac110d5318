#pragma once
/// What this process is made of, for operators: its threads, and what its allocator holds.

#include <cstdint>
#include <string>
#include <vector>

namespace ferry::os {

struct thread_view {
  std::uint32_t id = 0;
  std::string name;
  char state = '?';             ///< R runs, S sleeps, D waits for a disk, ...; proc(5)
  std::string waits_in;         ///< function of the kernel; empty: none, or not to be known
  std::uint64_t user_ms = 0;    ///< of processor time
  std::uint64_t kernel_ms = 0;  ///< of processor time
};

/// By their ids. Reads /proc; a thread that ends meanwhile may be missing.
[[nodiscard]] std::vector<thread_view> threads_of_process();

struct allocator_view {
  std::uint64_t from_system = 0;  ///< bytes that the allocator has, of its arenas and of blocks mapped one by one
  std::uint64_t in_use = 0;       ///< of them with the program
  std::uint64_t mapped = 0;       ///< of those in blocks mapped one by one
  std::uint64_t resident = 0;     ///< bytes of memory that the whole process takes
};
[[nodiscard]] allocator_view view_of_allocator();

/// All arenas and sizes, as malloc_info(3) writes them: XML.
[[nodiscard]] std::string allocator_details();

/// Who allocated what is in use, for pprof, where gperftools' heap profiler runs in this process (it was started with
/// LD_PRELOAD=libtcmalloc.so.4 and HEAPPROFILE=PATH). @return empty: it does not
[[nodiscard]] std::string heap_profile();

}  // namespace ferry::os
