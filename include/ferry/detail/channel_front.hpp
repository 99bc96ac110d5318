#pragma once
/// What the header knows of a channel: the straight way of its messages into a ring, without a call.

#include <ferry/detail/ring_core.hpp>
#include <ferry/detail/taken.hpp>
#include <ferry/message.hpp>

namespace ferry::detail {

class ring_channel;

/// Open while the peer is there, nothing waits to be sent before, and nobody but the context's thread sends: then a
/// message that is one record by itself needs no more than the ring. Whoever finds it shut asks the channel.
/// Thread safety: the context's thread.
class straight_way {
 public:
  /// @return false: shut, full, or not for this message
  [[nodiscard]] bool try_push(bytes payload, message_kind kind) {
    if (ring_ == nullptr || payload.size() > limit_) [[unlikely]]
      return false;
    if (!ring_->try_push(payload, kind == message_kind::text ? ring_marks::text : ring_marks::none)) [[unlikely]]
      return false;
    taken_->count(payload.size() + 8);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the sleeper's barrier sees to the rest
    if (calls_ || reader_sleeps_->load(std::memory_order_relaxed) != 0) [[unlikely]]
      call();
    return true;
  }
  void shut() noexcept { ring_ = nullptr; }

 private:
  friend class ring_channel;
  /// Tells the channel that something was pushed.
  void call();

  ring_producer* ring_ = nullptr;  // null: shut
  std::size_t limit_ = 0;          // of the payload
  taken* taken_ = nullptr;
  std::atomic<std::uint32_t>* reader_sleeps_ = nullptr;
  ring_channel* channel_ = nullptr;
  bool calls_ = false;  // the channel wants to know of every message
};

/// The part of every channel_impl that the header may use.
struct channel_front {
  straight_way straight;
};

}  // namespace ferry::detail
