#pragma once
/// Buffers on their way from one connection to the next.

#include <ferry/buffer_pool.hpp>

#include <cstddef>
#include <utility>

namespace ferry::net {

/// While many connections of one io_context are told of something in turn, each needs a buffer or two and gives them
/// back before the next one has its turn: here they wait in between, for less than the pool costs. Of a large and a
/// small size one each, and of one pool at a time.
class turn_buffers {
 public:
  void begin() noexcept { open_ = true; }
  /// The pool has all of them again.
  void end() noexcept {
    open_ = false;
    drop();
  }

  /// As of buffer_pool, from which it comes if none waits.
  [[nodiscard]] pooled_buffer acquire(buffer_pool& from, std::size_t size) noexcept {
    pooled_buffer& here = place(size);
    const bool fits = here.capacity() >= size && here.capacity() / k_most_waste <= size;
    if (of_ == &from && fits) return std::exchange(here, pooled_buffer());
    pooled_buffer fresh = from.acquire(size);
    if (fresh || (!small_ && !large_)) return fresh;
    drop();  // what waits may be what is missing
    return from.acquire(size);
  }
  /// Outside a turn it goes back at once. @param from  which has lent it
  void give(const buffer_pool& from, pooled_buffer one) noexcept {
    if (!open_) return;
    if (std::exchange(of_, &from) != &from) drop();
    pooled_buffer& here = place(one.capacity());
    here = std::move(one);
  }

 private:
  static constexpr std::size_t k_small = 16u << 10;
  static constexpr std::size_t k_most_waste = 4;

  void drop() noexcept {
    small_.reset();
    large_.reset();
  }
  [[nodiscard]] pooled_buffer& place(std::size_t size) noexcept { return size <= k_small ? small_ : large_; }

  bool open_ = false;
  const buffer_pool* of_ = nullptr;
  pooled_buffer small_, large_;
};

}  // namespace ferry::net
