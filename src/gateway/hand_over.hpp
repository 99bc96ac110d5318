#pragma once
/// What one thread of a gateway hands to another, without a lock: all that a turn of its event loop brought, at once.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "session/virtual_connections.hpp"

namespace ferry::gateway {

struct batch {
  enum class kind : std::uint8_t {
    packets,       ///< of virtual connections of one role's members, `size` bytes of whole packets
    dial,          ///< a virtual connection begins; `size` bytes of the address of who dialled
    close,         ///< a half of it ended
    hold,          ///< the end over there must not be read: the end here does not read
    go_on,         ///< it may be read again
    full,          ///< the server `remote` has no room: dials to it wait
    has_room,      ///< they may come
    ask_for_room,  ///< say `room` when all that comes before has been taken
    room,
  };
  struct note {
    kind what = kind::packets;
    session::gateway_role of = session::gateway_role::client;  ///< role of the end here
    std::uint32_t number = 0;
    std::uint32_t from = 0, remote = 0;  ///< dial: IDs of who dialled, and of who is dialled
    std::size_t size = 0;                ///< bytes of `data` that are its own, in order
  };
  std::size_t from = 0;  ///< thread
  time_point began{};    ///< of the turn
  std::vector<note> notes;
  std::vector<std::byte> data;
  batch* next = nullptr;  // in a mailbox

  /// Of what is on the way. A note counts as more than it takes here, for what it brings about over there.
  static constexpr std::size_t k_note_weight = 64;
  [[nodiscard]] std::size_t weight() const noexcept { return data.size() + notes.size() * k_note_weight; }

  void clear() {
    constexpr std::size_t kept_notes = 4096, kept_bytes = 512 * 1024;
    notes.clear();
    data.clear();
    if (notes.capacity() > kept_notes) std::vector<note>().swap(notes);
    if (data.capacity() > kept_bytes) std::vector<std::byte>().swap(data);
  }
};

/// Any thread puts batches in, one takes all of them out.
class mailbox {
 public:
  mailbox() = default;
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;
  ~mailbox() {
    for (batch* one = take(); one != nullptr;) delete std::exchange(one, one->next);
  }
  /// @return true: it was empty, so nobody has woken the one who takes
  [[nodiscard]] bool put(std::unique_ptr<batch> one) noexcept {
    batch* const added = one.release();
    batch* below = top_.load(std::memory_order_relaxed);
    do added->next = below;
    while (!top_.compare_exchange_weak(below, added, std::memory_order_release, std::memory_order_relaxed));
    return below == nullptr;  // not added->next: it may have been taken by now
  }
  /// The caller's from now on, by `next`, whoever was put in first first. Null: there are none.
  [[nodiscard]] batch* take() noexcept {
    batch* all = top_.exchange(nullptr, std::memory_order_acquire);  // pairs with: put
    batch* ordered = nullptr;
    while (all != nullptr) {
      batch* const one = std::exchange(all, all->next);
      one->next = ordered;
      ordered = one;
    }
    return ordered;
  }

 private:
  std::atomic<batch*> top_{nullptr};
};

/// Batches to be used again, with the room that they had. One thread.
class spare_batches {
 public:
  static constexpr std::size_t k_most = 64;
  static constexpr std::size_t k_most_bytes = 1u << 20;  ///< of room, all together; what a burst needed above that goes

  spare_batches() { all_.reserve(k_most); }
  void put(std::unique_ptr<batch> one) {
    const auto room = one->data.capacity();
    if (all_.size() == k_most || bytes_ + room > k_most_bytes) return;
    bytes_ += room;
    const auto place =
        std::find_if(all_.rbegin(), all_.rend(), [&](const auto& other) { return other->data.capacity() <= room; });
    all_.insert(place.base(), std::move(one));
  }
  /// The one with the most room, so that a few grow as large as they must be, and the others need not. Null: there is
  /// none.
  [[nodiscard]] std::unique_ptr<batch> take() noexcept {
    if (all_.empty()) return nullptr;
    auto last = std::move(all_.back());
    all_.pop_back();
    bytes_ -= last->data.capacity();
    return last;
  }

 private:
  std::vector<std::unique_ptr<batch>> all_;  // whoever has the least room first
  std::size_t bytes_ = 0;
};

}  // namespace ferry::gateway
