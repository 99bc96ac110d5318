#pragma once
/// Buffers of one size of a pool that wait for reuse.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>

#include "base/slot_queue.hpp"
#include "base/slot_stack.hpp"

namespace ferry {

inline constexpr std::size_t k_pool_line =
    64;  ///< alignment of every buffer; the line before one has its slot's number

/// Null: there is no memory.
[[nodiscard]] inline std::byte* allocate_lines(std::size_t size) noexcept {
  return static_cast<std::byte*>(::operator new (size, std::align_val_t{k_pool_line}, std::nothrow));
}
inline void release_lines(std::byte* memory) noexcept { ::operator delete (memory, std::align_val_t{k_pool_line}); }

/// In a stack without a limit of its own, or in a bounded queue; those that were cut from the slab, whose memory goes
/// with the pool only, in a stack beside it.
class alignas(k_pool_line) size_class {
 public:
  /// Before anything else. @param queued  at most so many in a queue; 0: in a stack. @param slab_bytes  0: no slab
  void make(std::size_t each, std::size_t queued, std::size_t slab_bytes) {
    size = each;
    if (queued != 0) queue_ = std::make_unique<slot_queue>(queued);
    chunks_ = static_cast<std::uint32_t>(std::min<std::size_t>(slab_bytes / chunk(), slot_table::k_max_slots));
    if (chunks_ == 0) return;
    slab_.reset(allocate_lines(chunks_ * chunk()));
    if (!slab_) throw std::bad_alloc();
  }

  [[nodiscard]] bool is_of_slab(const std::byte* data) const noexcept {
    const std::byte* const begin = slab_.get();
    return chunks_ != 0 && std::greater_equal<>()(data, begin) && std::less<>()(data, begin + chunks_ * chunk());
  }
  /// A line and a buffer that nobody has had yet; null: the slab is used up.
  [[nodiscard]] std::byte* cut() noexcept {
    auto next = cut_.load(std::memory_order_relaxed);
    do {
      if (next >= chunks_) return nullptr;
    } while (!cut_.compare_exchange_weak(next, next + 1, std::memory_order_relaxed));
    return slab_.get() + next * chunk();
  }

  /// @return false: there is no room, or it is closed; the slot stays the caller's. After true nothing here is touched.
  [[nodiscard]] bool push(slot_table& slots, std::uint32_t index) noexcept {
    if (is_of_slab(slots[index].data)) return of_slab_.push(slots, index);
    return queue_ ? queue_->push(index) : stack_.push(slots, index);
  }
  /// @return slot_stack::k_none: none waits
  [[nodiscard]] std::uint32_t pop(slot_table& slots) noexcept {
    if (chunks_ != 0)
      if (const auto index = of_slab_.pop(slots); index != slot_stack::k_none) return index;
    return pop_loose(slots);
  }
  /// One that was allocated by itself.
  [[nodiscard]] std::uint32_t pop_loose(slot_table& slots) noexcept {
    return queue_ ? queue_->pop() : stack_.pop(slots);
  }
  /// Nothing can be pushed from now on. @param take  is called with each slot that waited
  template <class Take>
  void close(slot_table& slots, const Take& take) noexcept {
    if (queue_) queue_->close(take);
    for (auto* const from : {&of_slab_, &stack_})
      for (auto index = from->close(); index != slot_stack::k_none;) {
        const auto next = slots[index].next.load(std::memory_order_relaxed);
        take(index);
        index = next;
      }
  }

  [[nodiscard]] std::uint64_t loose_bytes(const slot_table& slots) const noexcept {
    return (queue_ ? queue_->depth() : stack_.depth(slots)) * size;
  }
  [[nodiscard]] std::uint64_t slab_bytes(const slot_table& slots) const noexcept {
    return std::uint64_t{of_slab_.depth(slots)} * size;
  }
  [[nodiscard]] std::uint64_t pops() const noexcept {
    return of_slab_.pops() + (queue_ ? queue_->pops() : stack_.pops());
  }

  std::size_t size = 0;
  std::atomic<std::uint64_t> trimmed{0};  ///< popped to be freed, not to be lent

 private:
  static_assert(slot_queue::k_none == slot_stack::k_none);
  struct release_slab {
    void operator()(std::byte* memory) const noexcept { release_lines(memory); }
  };
  [[nodiscard]] std::size_t chunk() const noexcept { return k_pool_line + size; }

  slot_stack stack_;
  slot_stack of_slab_;
  std::unique_ptr<slot_queue> queue_;
  std::unique_ptr<std::byte[], release_slab> slab_;
  std::uint32_t chunks_ = 0;
  std::atomic<std::uint32_t> cut_{0};
};

}  // namespace ferry
