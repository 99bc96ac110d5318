#pragma once
/// Bytes as they come from a stream, taken apart into messages. An idle connection holds nothing here, or
/// `k_idle_bytes` where a read needs room to wait with; larger buffers are on loan while data flows.

#include <ferry/buffer_pool.hpp>
#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>

#include "codec/framing.hpp"

namespace ferry {

/// @tparam F  next() as of a codec::framing; its `message` may be of any type
template <class F>
class inbound {
 public:
  static constexpr std::size_t k_idle_bytes = 512;

  inbound(buffer_pool& pool, std::size_t max_message, std::size_t batch_bytes)
      : pool_(&pool), framing_(max_message), batch_bytes_(batch_bytes) {}

  /// Bytes that belong to a message of which not all is here, or that were not delivered yet.
  [[nodiscard]] std::size_t pending() const noexcept { return end_ - begin_; }

  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }

  /// Where the next bytes go: never empty. While `flowing`, a large buffer is borrowed for them, if one is to be had.
  /// @return errc::no_memory if a message needs more room than the pool gives.
  [[nodiscard]] result<mutable_bytes> room(bool flowing) {
    if (begin_ == end_) begin_ = end_ = 0;
    // A header alone reserves nothing: room for a large message grows with the bytes that really came.
    const std::size_t believed = std::min(missing_total_, 4 * pending());
    // Whole messages that nobody has taken yet may fill the buffer.
    const std::size_t wanted = std::max({believed, pending() + 1, flowing ? batch_bytes_ : k_idle_bytes});
    if (begin_ + wanted > capacity()) {
      if (wanted > capacity() && (wanted > k_idle_bytes || capacity() != 0)) grow(wanted);
      if (capacity() == 0) small_ = std::make_unique<std::array<std::byte, k_idle_bytes>>();
      if (begin_ != 0) shift();
      if (end_ == capacity())
        return error(errc::no_memory, "no buffer for a message of " + std::to_string(missing_total_) + " bytes");
    }
    return mutable_bytes(data() + end_, capacity() - end_);
  }

  /// `n` bytes were written into the room.
  void filled(std::size_t n) noexcept { end_ += n; }

  /// Hands every whole message to `deliver(const message_view&) -> bool`; false: this one was not taken, it comes
  /// again.
  /// @return the framing's error; nothing is delivered after one
  template <class Deliver>
  result<void> take(Deliver&& deliver) {
    missing_total_ = 0;
    while (begin_ != end_) {
      const auto frame = framing_.next({data() + begin_, end_ - begin_});
      if (!frame) [[unlikely]]
        return frame.error();
      if (frame->consumed == 0) {
        missing_total_ = frame->total;
        break;
      }
      if (!deliver(frame->message)) break;
      begin_ += frame->consumed;
    }
    return {};
  }

  /// The first frame behind the first `passed` bytes that are pending; consumed == 0: not whole yet. @return its error
  [[nodiscard]] auto peek(std::size_t passed) {
    auto frame = at(passed);
    missing_total_ = frame && frame->consumed == 0 && frame->total != 0 ? passed + frame->total : 0;
    return frame;
  }
  /// The same, without taking notice.
  [[nodiscard]] auto at(std::size_t passed) const {
    return framing_.next({data() + begin_ + passed, end_ - begin_ - passed});
  }
  /// What comes next is to be kept besides what is pending, of which nothing is taken for now.
  void keep_more() noexcept { missing_total_ = pending() + batch_bytes_; }
  /// The first `n` bytes that are pending are of no more use.
  void drop(std::size_t n) noexcept { begin_ += n; }

  /// Gives the large buffer back as far as what is pending allows.
  void settle() {
    if (!big_) return;
    if (pending() == 0) {
      big_.reset();
      begin_ = end_ = 0;
    } else if (small_ && pending() <= k_idle_bytes / 2) {
      const pooled_buffer old = std::move(big_);
      std::memcpy(small_->data(), old.data() + begin_, pending());
      end_ -= std::exchange(begin_, 0);
    } else if (pending() * 8 < capacity()) {
      pooled_buffer fitting = pool_->acquire(pending() * 2);
      if (fitting) replace(std::move(fitting));
    }
  }

  void clear() noexcept {
    big_.reset();
    begin_ = end_ = missing_total_ = 0;
  }

 private:
  [[nodiscard]] std::byte* data() noexcept { return big_ ? big_.data() : small_ ? small_->data() : nullptr; }
  [[nodiscard]] const std::byte* data() const noexcept {
    return big_ ? big_.data() : small_ ? small_->data() : nullptr;
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return big_ ? big_.capacity() : small_ ? k_idle_bytes : 0; }

  void grow(std::size_t wanted) {
    pooled_buffer larger = pool_->acquire(wanted);
    if (larger) replace(std::move(larger));
  }
  void replace(pooled_buffer fresh) {
    if (pending() != 0) std::memcpy(fresh.data(), data() + begin_, pending());
    big_ = std::move(fresh);
    end_ -= std::exchange(begin_, 0);
  }
  void shift() noexcept {
    std::memmove(data(), data() + begin_, pending());
    end_ -= std::exchange(begin_, 0);
  }

  buffer_pool* pool_;
  F framing_;
  std::size_t batch_bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t missing_total_ = 0;  // size of the incomplete first frame, if known
  pooled_buffer big_;
  std::unique_ptr<std::array<std::byte, k_idle_bytes>> small_;
};

}  // namespace ferry
