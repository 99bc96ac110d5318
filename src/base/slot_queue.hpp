#pragma once
/// A bounded queue of numbered slots, first in, first out, shared by any number of threads.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace ferry {

/// Each cell is one word: the turn that it is in, and the number that lies there. In turn t it waits for the push at
/// position t, in turn t + 1 for the pop there. Who pushes claims a position and then fills its cell; who finds the
/// next cell claimed and not filled yet sees the queue as empty, and waits for nobody.
class slot_queue {
 public:
  static constexpr std::uint32_t k_none = (1u << 24) - 1;

  /// @param most  slots; rounded down to a power of two, 2 at least. 0: none at all, and push() takes nothing
  explicit slot_queue(std::size_t most = 0) : size_(most == 0 ? 0 : std::bit_floor(most < 2 ? 2 : most)) {
    if (size_ == 0) return;
    cells_ = std::make_unique<std::atomic<std::uint64_t>[]>(size_);
    for (std::size_t i = 0; i < size_; ++i) cells_[i].store(word(i, k_none), std::memory_order_relaxed);
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return size_; }

  /// @return false if the queue is full or closed; the slot then stays the caller's. After true nothing here is
  /// touched.
  [[nodiscard]] bool push(std::uint32_t index) noexcept {
    if (size_ == 0) return false;
    auto at = tail_.load(std::memory_order_relaxed);
    for (;;) {
      if ((at & k_closed) != 0) return false;
      const auto turn = turns_ahead(at);
      if (turn < 0) return false;
      if (turn > 0)
        at = tail_.load(std::memory_order_relaxed);
      else if (tail_.compare_exchange_weak(at, next(at), std::memory_order_relaxed))
        break;
    }
    auto expected = word(at, k_none);  // unless the queue was closed meanwhile
    return cell(at).compare_exchange_strong(expected, word(at + 1, index), std::memory_order_release,
                                            std::memory_order_relaxed);  // pairs with: pop, close
  }

  /// @return the slot pushed first, now the caller's, or k_none. Not together with close().
  [[nodiscard]] std::uint32_t pop() noexcept {
    if (size_ == 0) return k_none;
    auto at = head_.load(std::memory_order_relaxed);
    for (;;) {
      const auto turn = turns_ahead(at, 1);
      if (turn < 0) return k_none;
      if (turn > 0)
        at = head_.load(std::memory_order_relaxed);
      else if (head_.compare_exchange_weak(at, next(at), std::memory_order_relaxed))
        break;
    }
    const auto found = cell(at).load(std::memory_order_acquire);          // pairs with: push
    cell(at).store(word(at + size_, k_none), std::memory_order_release);  // pairs with: turns_ahead
    return static_cast<std::uint32_t>(found) & k_none;
  }

  /// Nothing can be pushed from now on. @param take  is called with each slot that lay there
  template <class Take>
  void close(const Take& take) noexcept {
    tail_.fetch_or(k_closed, std::memory_order_relaxed);
    for (std::size_t i = 0; i < size_; ++i) {
      const auto found = cells_[i].exchange(k_shut, std::memory_order_acq_rel);  // pairs with: push
      if (const auto index = static_cast<std::uint32_t>(found) & k_none; index < k_shut) take(index);
    }
  }

  /// How many slots lie here; exact only while nobody pushes or pops.
  [[nodiscard]] std::size_t depth() const noexcept {
    const auto taken = head_.load(std::memory_order_relaxed);
    const auto tail = tail_.load(std::memory_order_relaxed);
    if ((tail & k_closed) != 0) return 0;
    const auto lie = (tail - taken) & k_position;
    return lie > size_ ? 0 : lie;
  }
  /// How many were ever popped.
  [[nodiscard]] std::uint64_t pops() const noexcept { return head_.load(std::memory_order_relaxed); }

 private:
  static constexpr unsigned k_index_bits = 24;
  static constexpr std::uint64_t k_turns = (std::uint64_t{1} << (64 - k_index_bits)) - 1;
  static constexpr std::uint64_t k_closed = std::uint64_t{1} << 63;
  static constexpr std::uint64_t k_position = k_closed - 1;
  static constexpr std::uint32_t k_shut = k_none - 1;  // in a cell that no push fills any more

  [[nodiscard]] static std::uint64_t word(std::uint64_t turn, std::uint32_t index) noexcept {
    return ((turn & k_turns) << k_index_bits) | index;
  }
  [[nodiscard]] static std::uint64_t next(std::uint64_t position) noexcept { return (position + 1) & k_position; }
  [[nodiscard]] std::atomic<std::uint64_t>& cell(std::uint64_t position) noexcept {
    return cells_[position & (size_ - 1)];
  }
  // Below 0: the cell is not as far as position + `more`; above: it is farther, and the position was taken by another.
  [[nodiscard]] std::int64_t turns_ahead(std::uint64_t position, std::uint64_t more = 0) noexcept {
    const auto turn = cell(position).load(std::memory_order_acquire) >> k_index_bits;  // pairs with: push, pop
    const auto ahead = (turn - position - more) & k_turns;
    return ahead > k_turns / 2 ? static_cast<std::int64_t>(ahead) - static_cast<std::int64_t>(k_turns) - 1
                               : static_cast<std::int64_t>(ahead);
  }

  std::size_t size_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> cells_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // where the next push goes
  alignas(64) std::atomic<std::uint64_t> head_{0};  // where the next pop comes from
};

}  // namespace ferry
