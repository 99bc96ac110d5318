#pragma once
/// What the header knows of a channel: the straight ways of its messages, without a call.

#include <ferry/detail/ring_core.hpp>
#include <ferry/detail/taken.hpp>
#include <ferry/message.hpp>

#include <cstring>
#include <span>

namespace ferry::net {
struct ring_link;
}

namespace ferry::detail {

/// Opened by a ring channel for the rest of a turn of the event loop, or of a batch of messages that are handed out,
/// when a message was sent in it and nothing is in the way of the next ones: those that are one record by themselves
/// need no more than the ring. Whoever finds it shut asks the channel. Thread safety: the context's thread; any while
/// it was never open.
class straight_way {
 public:
  /// @return false: shut, full, or not for this message
  [[nodiscard]] bool try_push(bytes payload, message_kind kind) noexcept {
    if (payload.size() >= end_) return false;
    if (!ring_->try_push(payload, kind == message_kind::text ? ring_marks::text : ring_marks::none)) return false;
    count_->count(payload.size() + 8);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the sleeper's barrier sees to the rest
    if (reader_sleeps_->load(std::memory_order_relaxed) != 0) [[unlikely]]
      wake_reader();
    return true;
  }

  /// @param most  the largest payload; all that is given outlives the next shut()
  void open(net::ring_link& link, ring_producer& ring, std::size_t most, taken& count) noexcept;
  void shut() noexcept {
    if (end_ != 0) end_ = 0;  // with senders=many it never is, and other threads read it
  }

 private:
  void wake_reader() noexcept;

  std::size_t end_ = 0;  // the largest payload and 1; 0: shut
  ring_producer* ring_ = nullptr;
  taken* count_ = nullptr;
  std::atomic<std::uint32_t>* reader_sleeps_ = nullptr;
  net::ring_link* link_ = nullptr;
};

/// Opened by a session's channel while a message handler runs: its first small answer is kept here until the handler
/// returns, and written into the ring together with the commit. Whoever finds it shut asks the channel. Thread safety:
/// as straight_way.
class straight_answer {
 public:
  /// @return false: shut, or not for this message
  [[nodiscard]] bool try_keep(bytes payload, message_kind kind) noexcept {
    if (payload.size() >= end_) return false;
    if (!payload.empty()) std::memcpy(to_, payload.data(), payload.size());
    size_ = payload.size();
    kind_ = kind;
    kept_ = true;
    end_ = 0;
    return true;
  }

  /// @param room  outlives what is kept there
  void open(std::span<std::byte> room) noexcept {
    to_ = room.data();
    end_ = room.size() + 1;
  }
  void shut() noexcept {
    if (end_ != 0) end_ = 0;
  }
  [[nodiscard]] bool kept() const noexcept { return kept_; }
  /// What was kept; its bytes stay until something else is.
  [[nodiscard]] message_view take() noexcept {
    kept_ = false;
    return {{to_, size_}, kind_, 0};
  }
  void drop() noexcept {
    shut();
    kept_ = false;
  }

 private:
  std::size_t end_ = 0;  // the largest payload and 1; 0: shut
  std::byte* to_ = nullptr;
  std::size_t size_ = 0;
  message_kind kind_ = message_kind::binary;
  bool kept_ = false;
};

/// The part of every channel_impl that the header may use.
struct channel_front {
  straight_way straight;
  straight_answer first_answer;
};

}  // namespace ferry::detail
