#pragma once
/// The buffers that one thread keeps for itself, a few of each size.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry {

/// One thread at a time owns it and puts and takes; any thread may read the numbers. A cache that its thread has left
/// is taken over by the next one.
class thread_cache {
 public:
  static constexpr std::size_t k_most = 32;               // buffers of a size
  static constexpr std::size_t k_most_bytes = 64 * 1024;  // of a size, but one buffer always

  explicit thread_cache(std::size_t sizes) : bins_(std::make_unique<bin[]>(sizes)), sizes_(sizes) {}

  /// Nobody else has it from then on. @return false: somebody has it
  [[nodiscard]] bool claim() noexcept {
    return !owned_.exchange(true, std::memory_order_acquire);
  }  // pairs with: leave
  void leave() noexcept { owned_.store(false, std::memory_order_release); }

  /// @return null: none of that size is here
  [[nodiscard]] std::byte* take(std::size_t size_index, std::size_t size) noexcept {
    auto& from = bins_[size_index];
    if (from.count == 0) return nullptr;
    bump(hits_, 1);
    bump(bytes_, std::uint64_t{0} - size);
    return from.all[--from.count];
  }
  /// @param spill  is called with the older half of the buffers of that size, if there is no room
  template <class Spill>
  void put(std::size_t size_index, std::size_t size, std::byte* data, const Spill& spill) noexcept {
    auto& to = bins_[size_index];
    const auto most = std::clamp<std::size_t>(k_most_bytes / size, 1, k_most);
    if (to.count >= most) {
      const auto leaving = (most + 1) / 2;
      for (std::size_t i = 0; i < leaving; ++i) spill(to.all[i]);
      std::move(to.all + leaving, to.all + to.count, to.all);
      to.count -= leaving;
      bump(bytes_, std::uint64_t{0} - leaving * size);
    }
    to.all[to.count++] = data;
    bump(bytes_, size);
  }
  /// @param spill  is called with the number of the size and the buffer, for each
  template <class Spill>
  void empty(const Spill& spill) noexcept {
    for (std::size_t i = 0; i < sizes_; ++i)
      while (bins_[i].count != 0) spill(i, bins_[i].all[--bins_[i].count]);
    bytes_.store(0, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t hits() const noexcept { return hits_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

  thread_cache* next = nullptr;  ///< in the list of all of a pool, which only grows; whoever adds it sets it

 private:
  struct bin {
    std::size_t count = 0;
    std::byte* all[k_most];
  };
  // One thread writes.
  static void bump(std::atomic<std::uint64_t>& number, std::uint64_t by) noexcept {
    number.store(number.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::unique_ptr<bin[]> bins_;
  std::size_t sizes_;
  std::atomic<std::uint64_t> hits_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> owned_{true};
};

}  // namespace ferry
