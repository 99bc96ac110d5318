// Replaces operator new and delete of this test program by ones that count.
#include "tests/limits/counting_new.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::size_t> live_bytes{0};

constexpr std::uint64_t k_all = std::numeric_limits<std::uint64_t>::max();
thread_local std::uint64_t left = k_all;
thread_local std::uint64_t without = 0;  // how many got none since then

bool is_refused() noexcept {
  if (left == k_all) return false;
  if (left != 0) {
    left -= 1;
    return false;
  }
  without += 1;
  return true;
}

void* got(std::size_t size) noexcept { return is_refused() ? nullptr : std::malloc(size); }
void* counted(void* made) {
  if (made == nullptr) throw std::bad_alloc();
  allocations.fetch_add(1, std::memory_order_relaxed);
  live_bytes.fetch_add(::malloc_usable_size(made), std::memory_order_relaxed);
  return made;
}
void uncounted(void* gone) noexcept {
  if (gone != nullptr) live_bytes.fetch_sub(::malloc_usable_size(gone), std::memory_order_relaxed);
  std::free(gone);
}
void* aligned(std::size_t size, std::align_val_t alignment) {
  if (is_refused()) return nullptr;
  const auto unit = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
}

}  // namespace

void* operator new(std::size_t size) { return counted(got(size)); }
void* operator new[](std::size_t size) { return counted(got(size)); }
void* operator new(std::size_t size, std::align_val_t unit) { return counted(aligned(size, unit)); }
void* operator new[](std::size_t size, std::align_val_t unit) { return counted(aligned(size, unit)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* made = got(size);
  return made == nullptr ? nullptr : counted(made);
}
void* operator new[](std::size_t size, const std::nothrow_t& no) noexcept { return operator new(size, no); }
void* operator new(std::size_t size, std::align_val_t unit, const std::nothrow_t&) noexcept {
  void* made = aligned(size, unit);
  return made == nullptr ? nullptr : counted(made);
}
void operator delete(void* gone) noexcept { uncounted(gone); }
void operator delete[](void* gone) noexcept { uncounted(gone); }
void operator delete(void* gone, std::size_t) noexcept { uncounted(gone); }
void operator delete[](void* gone, std::size_t) noexcept { uncounted(gone); }
void operator delete(void* gone, std::align_val_t) noexcept { uncounted(gone); }
void operator delete[](void* gone, std::align_val_t) noexcept { uncounted(gone); }
void operator delete(void* gone, std::size_t, std::align_val_t) noexcept { uncounted(gone); }
void operator delete[](void* gone, std::size_t, std::align_val_t) noexcept { uncounted(gone); }

namespace ferry::test {

memory_runs_out::memory_runs_out(std::uint64_t allowed) noexcept {
  left = allowed;
  without = 0;
}
memory_runs_out::~memory_runs_out() { left = k_all; }
std::uint64_t memory_runs_out::refused() const noexcept { return without; }

allocation_counts count_allocations() noexcept {
  return {allocations.load(std::memory_order_relaxed), live_bytes.load(std::memory_order_relaxed)};
}

}  // namespace ferry::test
