#pragma once
/// A lock-free stack of numbered slots, shared by any number of threads.
/// The slots live in a table that only grows, so that a thread that lost a race may still read the slot it looked at.

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace ferry {

/// One place for a buffer. `next` and `depth` belong to the stack on which the slot lies, `data` to whoever popped it.
struct slot {
  std::atomic<std::uint32_t> next{0};
  std::atomic<std::uint32_t> depth{0};  ///< slots from this one to the bottom, itself included
  std::byte* data = nullptr;
};

/// Slots by number. A slot's address never changes while the table lives.
class slot_table {
 public:
  static constexpr std::uint32_t k_max_slots = (1u << 24) - 2;

  slot_table() noexcept = default;
  slot_table(const slot_table&) = delete;
  slot_table& operator=(const slot_table&) = delete;
  ~slot_table() {
    for (auto& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
  }

  /// The number of a slot that nobody has had yet, or k_max_slots if there is no room for one more.
  [[nodiscard]] std::uint32_t add() noexcept {
    auto index = used_.load(std::memory_order_relaxed);
    do {
      if (index >= k_max_slots || !has_chunk(position_of(index).chunk)) return k_max_slots;
    } while (!used_.compare_exchange_weak(index, index + 1, std::memory_order_relaxed));
    return index;
  }

  /// @param index one that add() gave.
  [[nodiscard]] slot& operator[](std::uint32_t index) noexcept {
    const auto at = position_of(index);
    return chunks_[at.chunk].load(std::memory_order_acquire)[at.offset];  // pairs with: has_chunk
  }
  [[nodiscard]] const slot& operator[](std::uint32_t index) const noexcept {
    const auto at = position_of(index);
    return chunks_[at.chunk].load(std::memory_order_acquire)[at.offset];  // pairs with: has_chunk
  }

 private:
  static constexpr std::uint32_t k_first_chunk = 64;  // each chunk is twice the one before
  struct position {
    std::uint32_t chunk;
    std::uint32_t offset;
  };
  [[nodiscard]] static position position_of(std::uint32_t index) noexcept {
    const auto chunk = static_cast<std::uint32_t>(std::bit_width(index / k_first_chunk + 1) - 1);
    return {chunk, index - k_first_chunk * ((1u << chunk) - 1)};
  }
  [[nodiscard]] bool has_chunk(std::uint32_t chunk) noexcept {
    auto& entry = chunks_[chunk];
    if (entry.load(std::memory_order_acquire) != nullptr) return true;  // pairs with: the exchange below
    std::unique_ptr<slot[]> fresh(new (std::nothrow) slot[std::size_t{k_first_chunk} << chunk]);
    if (!fresh) return false;
    slot* none = nullptr;
    if (entry.compare_exchange_strong(none, fresh.get(), std::memory_order_acq_rel)) static_cast<void>(fresh.release());
    return true;
  }

  std::atomic<std::uint32_t> used_{0};
  std::array<std::atomic<slot*>, 19> chunks_{};
};

/// Last in, first out. One 64-bit word: the number of the top slot, and how many were ever popped, which tells a top
/// that came back from one that never left (ABA).
class slot_stack {
 public:
  static constexpr std::uint32_t k_none = (1u << 24) - 1;
  static_assert(slot_table::k_max_slots <= k_none - 1);  // the two numbers above every slot mark an end

  /// @param pops where the count of pops starts.
  explicit slot_stack(std::uint64_t pops = 0) noexcept
      : head_(word(k_none, pops & k_pops_mask)), carried_(pops & ~k_pops_mask) {}

  /// @return false if the stack is closed; the slot then stays the caller's.
  [[nodiscard]] bool push(slot_table& slots, std::uint32_t index) noexcept {
    auto& mine = slots[index];
    auto head = head_.load(std::memory_order_acquire);  // pairs with: push, so that the top's depth is there
    do {
      const auto top = index_of(head);
      if (top == k_closed) return false;
      mine.next.store(top, std::memory_order_relaxed);
      mine.depth.store(top == k_none ? 1 : slots[top].depth.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
    } while (!head_.compare_exchange_weak(head, word(index, head >> k_index_bits), std::memory_order_release,
                                          std::memory_order_acquire));  // pairs with: pop
    return true;
  }

  /// @return the slot pushed last, now the caller's, or k_none.
  [[nodiscard]] std::uint32_t pop(slot_table& slots) noexcept {
    auto head = head_.load(std::memory_order_acquire);  // pairs with: push
    for (;;) {
      const auto top = index_of(head);
      if (top >= k_closed) return k_none;
      const auto next = slots[top].next.load(std::memory_order_relaxed);
      const auto pops = (head >> k_index_bits) + 1;
      if (!head_.compare_exchange_weak(head, word(next, pops), std::memory_order_acq_rel, std::memory_order_acquire))
        continue;
      if ((pops & k_pops_mask) == 0) carried_.fetch_add(pops, std::memory_order_relaxed);
      return top;
    }
  }

  /// Nothing can be pushed from now on. @return the top of what lay there; follow `next` to k_none.
  [[nodiscard]] std::uint32_t close() noexcept {
    auto head = head_.load(std::memory_order_acquire);
    while (!head_.compare_exchange_weak(head, word(k_closed, head >> k_index_bits), std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
    }
    return index_of(head) == k_closed ? k_none : index_of(head);
  }

  /// How many slots lie here; exact only while nobody pushes or pops.
  [[nodiscard]] std::uint32_t depth(const slot_table& slots) const noexcept {
    const auto top = index_of(head_.load(std::memory_order_acquire));  // pairs with: push
    return top >= k_closed ? 0 : slots[top].depth.load(std::memory_order_relaxed);
  }

  /// How many were ever popped.
  [[nodiscard]] std::uint64_t pops() const noexcept {
    return carried_.load(std::memory_order_relaxed) + (head_.load(std::memory_order_relaxed) >> k_index_bits);
  }

 private:
  static constexpr unsigned k_index_bits = 24;
  static constexpr std::uint64_t k_pops_mask = (std::uint64_t{1} << (64 - k_index_bits)) - 1;
  static constexpr std::uint32_t k_closed = k_none - 1;

  [[nodiscard]] static std::uint32_t index_of(std::uint64_t head) noexcept {
    return static_cast<std::uint32_t>(head) & k_none;
  }
  [[nodiscard]] static std::uint64_t word(std::uint32_t index, std::uint64_t pops) noexcept {
    return (pops << k_index_bits) | index;
  }

  std::atomic<std::uint64_t> head_;
  std::atomic<std::uint64_t> carried_;  // pops beyond what the word can count
};

}  // namespace ferry
