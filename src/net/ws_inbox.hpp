#pragma once
/// Bytes of frames as they come. An idle connection holds nothing here, or `k_idle_bytes` where the stream below needs
/// room to wait with; larger buffers are on loan while data flows.

#include <ferry/buffer_pool.hpp>
#include <ferry/bytes.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "net/turn_buffers.hpp"

namespace ferry::net {

class ws_inbox {
 public:
  struct lenders {
    buffer_pool& pool;
    turn_buffers& turn;
    [[nodiscard]] pooled_buffer acquire(std::size_t size) const noexcept { return turn.acquire(pool, size); }
  };
  static constexpr std::size_t k_idle_bytes = 128;

  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] mutable_bytes content() noexcept { return {data() + begin_, size()}; }
  void drop(std::size_t n) noexcept { begin_ += n; }
  void filled(std::size_t n) noexcept { end_ += n; }
  void clear() noexcept {
    big_.reset();
    begin_ = end_ = 0;
  }

  /// Where the next bytes go. A peer that announces much reserves no more than four times what came.
  /// @param wanted    bytes that should find room, those that are here included; 0: unknown
  /// @param at_least  the size of the buffer that is borrowed, if one is; 0: none is needed yet
  /// @return empty: no memory
  [[nodiscard]] mutable_bytes room(const lenders& from, std::size_t wanted, std::size_t at_least) noexcept {
    if (empty()) begin_ = end_ = 0;
    const std::size_t needed = std::max({std::min(wanted, 4 * size()), size() + 1, at_least});
    if (begin_ + needed > capacity()) {
      if (needed > capacity() && (needed > k_idle_bytes || capacity() != 0))
        if (pooled_buffer larger = from.acquire(needed)) replace(std::move(larger));
      if (capacity() == 0) small_.reset(new (std::nothrow) small_buffer);
      if (begin_ != 0) {
        std::memmove(data(), data() + begin_, size());
        end_ -= std::exchange(begin_, 0);
      }
    }
    return {data() + end_, capacity() - end_};
  }

  /// Gives a large buffer back as far as what is here allows.
  void settle(const lenders& from) noexcept {
    if (!big_) return;
    if (empty()) {
      from.turn.give(from.pool, std::move(big_));
      begin_ = end_ = 0;
    } else if (small_ && size() <= k_idle_bytes / 2) {
      const pooled_buffer old = std::move(big_);
      std::memcpy(small_->data(), old.data() + begin_, size());
      end_ -= std::exchange(begin_, 0);
    } else if (size() * 8 < capacity()) {
      if (pooled_buffer fitting = from.acquire(size() * 2)) replace(std::move(fitting));
    }
  }

 private:
  using small_buffer = std::array<std::byte, k_idle_bytes>;

  [[nodiscard]] std::byte* data() noexcept { return big_ ? big_.data() : small_ ? small_->data() : nullptr; }
  [[nodiscard]] std::size_t capacity() const noexcept { return big_ ? big_.capacity() : small_ ? k_idle_bytes : 0; }
  void replace(pooled_buffer fresh) noexcept {
    if (!empty()) std::memcpy(fresh.data(), data() + begin_, size());
    big_ = std::move(fresh);
    end_ -= std::exchange(begin_, 0);
  }

  pooled_buffer big_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::unique_ptr<small_buffer> small_;  // filled as far as it is used
};

}  // namespace ferry::net
