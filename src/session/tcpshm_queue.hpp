#pragma once
/// The send queue of one side of a tcpshm connection, in the layout of tcpshm's .ptcp files: messages wait in it, ready
/// for the wire, until the peer has consumed them. Dry: the memory, a mapped file, is given. Source:
/// docs/compat-tcpshm.md.
///
///     0             blocks of 8 bytes: messages as they go over the wire, one after the other
///     queue bytes   u32 write_idx, read_idx, send_idx (in blocks), u32 sequence number of the message at read_idx,
///                   u32 ack: the number of the next message that we want from the peer
///     + 20          the end; or + 24
///
/// What a kill leaves: a message is in the queue with the store of write_idx; all that an acknowledgement or a move
/// changes lies in the 16 bytes of the first four numbers, and is one store; consuming is the store of ack.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "codec/tcpshm_messages.hpp"
#include "session/sequence.hpp"
#include "session/whole_store.hpp"

namespace ferry::session {

/// @param queue_bytes  a multiple of 8 (on ARM64 of 16), at most k_most_tcpshm_queue
[[nodiscard]] constexpr std::size_t tcpshm_queue_file_bytes(std::size_t queue_bytes) noexcept {
  return queue_bytes + 20;
}
inline constexpr std::size_t k_most_tcpshm_queue = std::size_t{1} << 30;

/// Of a file: 20 bytes follow the blocks, or 24 where it was rounded up. @return 0: no queue has a file of this size
[[nodiscard]] constexpr std::size_t tcpshm_queue_bytes(std::size_t file_bytes) noexcept {
  const std::size_t behind = file_bytes % 8 == 0 ? 24 : 20;
  if (file_bytes <= behind || (file_bytes - behind) % 8 != 0) return 0;
  return file_bytes - behind <= k_most_tcpshm_queue ? file_bytes - behind : 0;
}

/// How the queue writes what outlives the process; a test may stand in its place.
struct tcpshm_stores {
  static void word(std::uint32_t& to, std::uint32_t value) noexcept {
    std::atomic_ref(to).store(value, std::memory_order_release);
  }
  static void four(std::uint32_t* to, const std::array<std::uint32_t, 4>& values) noexcept { store_whole(to, values); }
  static void copy(std::byte* to, bytes from) noexcept { std::memmove(to, from.data(), from.size()); }
  static void zero(std::byte* to, std::size_t size) noexcept { std::memset(to, 0, size); }
};

/// One thread uses it. Copies are not made: it is the only writer of its memory.
template <class Stores = tcpshm_stores>
class basic_tcpshm_queue {
 public:
  using header = codec::tcpshm::header;
  using range_type = codec::tcpshm::range;

  /// Goes on where the memory says; everything in it counts as not sent.
  /// @param memory  tcpshm_queue_file_bytes() of them, aligned to 16; outlives this
  /// @return corrupt: indices, sizes or acknowledgements contradict each other
  [[nodiscard]] static result<basic_tcpshm_queue> recover(std::span<std::byte> memory, std::size_t queue_bytes,
                                                          std::endian order);
  /// Begins at number 0, empty, whatever the memory says.
  [[nodiscard]] static basic_tcpshm_queue begin(std::span<std::byte> memory, std::size_t queue_bytes,
                                                std::endian order) noexcept {
    basic_tcpshm_queue made(memory, queue_bytes, order);
    // The acknowledgement last: a queue that is empty at number 0 asks to begin whatever it wants.
    made.put({0, 0, 0, 0});
    made.put_ack(0);
    return made;
  }

  /// Room for a message of `size` bytes, header included: its header in the queue, of which the size is written in this
  /// machine's order. Asking again forgets the room given before.
  /// @param size  8 .. 65535 @return null: full
  [[nodiscard]] std::byte* alloc(std::uint16_t size) noexcept {
    const std::uint32_t need = blocks_of(size);
    if (need > capacity_ - at_.write && !move_to_front(need)) return nullptr;
    allocated_ = size;
    std::byte* const to = block(at_.write);
    std::memcpy(to, &size, sizeof size);
    return to;
  }
  /// Bytes that alloc() gave and push() has not taken; 0: none.
  [[nodiscard]] std::uint16_t allocated() const noexcept { return allocated_; }
  /// The message that alloc() gave is in the queue, and outlives this process.
  /// @param type  as on the wire, not 0
  void push(std::uint16_t type) noexcept {
    std::byte* const to = block(at_.write);
    codec::tcpshm::store_header(to, {allocated_, type, ack_}, order_);
    const std::uint32_t need = blocks_of(allocated_);
    std::memset(to + allocated_, 0, need * k_block - allocated_);
    at_.write += need;
    end_ += 1;
    allocated_ = 0;
    Stores::word(word(k_write), at_.write);
  }

  /// What waits to be sent. Valid until the next call of another member.
  [[nodiscard]] bytes unsent() const noexcept {
    return {memory_.data() + sent_bytes_, at_.write * k_block - sent_bytes_};
  }
  /// The first `size` bytes of unsent() are on their way.
  void sent(std::size_t size) noexcept {
    sent_bytes_ += size;
    const auto whole = static_cast<std::uint32_t>(sent_bytes_ / k_block);
    if (whole == at_.send) return;
    at_.send = whole;
    Stores::word(word(k_send), whole);
  }

  /// The peer has consumed all messages before number n.
  /// @return true: it counts | false: an older one | protocol: such a message was never sent
  [[nodiscard]] result<bool> acknowledge(std::uint32_t n) noexcept {
    if (static_cast<std::int32_t>(n - at_.sequence) <= 0) return false;
    indices next = at_;
    for (; next.sequence != n; ++next.sequence) {
      const std::uint32_t need = message_at(next.read, at_.send);
      if (need == 0) return errc::protocol;
      next.read += need;
    }
    // An open alloc() keeps its place.
    if (next.read == at_.write && allocated_ == 0) next.write = next.read = next.send = 0;
    put(next);
    return true;
  }
  /// A login has told what the peer has; everything from there is to be sent again. @param n  within range()
  [[nodiscard]] result<void> resume(std::uint32_t n) noexcept {
    at_.send = at_.write;
    sent_bytes_ = at_.write * k_block;
    if (const auto known = acknowledge(n); !known) return errc::corrupt;
    indices next = at_;
    next.send = next.read;
    put(next);
    return {};
  }

  /// One more of the peer's messages is consumed, for good.
  void consumed() noexcept { put_ack(ack_ + 1); }

  // Mending, while nobody is connected. A death between two stores leaves a queue that is whole.

  /// What we want next is number n, further on or back; no message that waits tells the peer of a later one.
  void want(std::uint32_t n);
  /// All messages are given up, and the next one has number n.
  void give_up(std::uint32_t n) noexcept {
    allocated_ = 0;
    end_ = n;
    put({0, 0, 0, n});
  }

  /// @param f  called with number and header of each message, the oldest one first
  template <class F>
  void for_each(F&& f) const {
    std::uint32_t number = at_.sequence;
    for (std::uint32_t at = at_.read; at < at_.write; ++number) {
      const header h = codec::tcpshm::load_header(block(at), order_);
      f(number, h);
      at += blocks_of(h.size);
    }
  }

  /// With the padding of the messages.
  [[nodiscard]] std::size_t unacknowledged_bytes() const noexcept { return (at_.write - at_.read) * k_block; }
  [[nodiscard]] range_type range() const noexcept { return {ack_, at_.sequence, end_}; }
  /// Number of the next message that we want.
  [[nodiscard]] std::uint32_t ack() const noexcept { return ack_; }

 private:
  static constexpr std::size_t k_block = 8;
  enum field : std::size_t { k_write, k_read, k_send, k_sequence, k_ack };
  // As they lie in the file.
  struct indices {
    std::uint32_t write = 0, read = 0, send = 0, sequence = 0;
  };

  basic_tcpshm_queue(std::span<std::byte> memory, std::size_t queue_bytes, std::endian order) noexcept
      : memory_(memory), capacity_(static_cast<std::uint32_t>(queue_bytes / k_block)), order_(order) {}

  [[nodiscard]] static std::uint32_t blocks_of(std::uint32_t size) noexcept {
    return static_cast<std::uint32_t>((size + k_block - 1) / k_block);
  }
  [[nodiscard]] std::byte* block(std::uint32_t index) const noexcept { return memory_.data() + index * k_block; }
  [[nodiscard]] std::uint32_t& word(field which) const noexcept {
    return reinterpret_cast<std::uint32_t*>(memory_.data() + capacity_ * k_block)[which];
  }
  // Blocks of the message at `index`; 0: none that ends before `end`.
  [[nodiscard]] std::uint32_t message_at(std::uint32_t index, std::uint32_t end) const noexcept {
    if (index >= end) return 0;
    const std::uint32_t size = codec::tcpshm::load_header(block(index), order_).size;
    const std::uint32_t need = blocks_of(size);
    return size < k_block || need > end - index ? 0 : need;
  }

  void put(const indices& next) noexcept {
    if (next.send != at_.send) sent_bytes_ = sent_bytes_ + next.send * k_block - at_.send * k_block;
    at_ = next;
    Stores::four(&word(k_write), {next.write, next.read, next.send, next.sequence});
  }
  void put_ack(std::uint32_t value) noexcept {
    ack_ = value;
    Stores::word(word(k_ack), value);
  }
  // The original moves bytes over themselves, and a kill amid that ruins the queue. Here they move only to where
  // nothing lies that is needed: until then, the queue is full.
  [[nodiscard]] bool move_to_front(std::uint32_t need) noexcept {
    const std::uint32_t live = at_.write - at_.read;
    if (live > at_.read || need > capacity_ - live) return false;
    Stores::copy(memory_.data(), {block(at_.read), live * k_block});
    put({live, 0, at_.send - at_.read, at_.sequence});
    return true;
  }
  // What a message was pushed with; of all messages, in one direction or the other.
  void put_acks(std::uint32_t value, bool newest_first);
  [[nodiscard]] result<void> check() noexcept;

  std::span<std::byte> memory_;
  std::uint32_t capacity_;  // blocks
  std::endian order_;
  indices at_;
  std::uint32_t end_ = 0;  // number of the next message
  std::uint32_t ack_ = 0;
  std::size_t sent_bytes_ = 0;  // at_.send in bytes, and part of a block
  std::uint16_t allocated_ = 0;
};

template <class Stores>
result<basic_tcpshm_queue<Stores>> basic_tcpshm_queue<Stores>::recover(std::span<std::byte> memory,
                                                                       std::size_t queue_bytes, std::endian order) {
  basic_tcpshm_queue made(memory, queue_bytes, order);
  if (const auto checked = made.check(); !checked) return checked.error();
  return made;
}

// Their acknowledgements must never fall, and none may be newer than the queue's own, after each store. So all are
// first raised to that, the newest message first; and if it goes back, they do so before it does, the oldest one first.
template <class Stores>
void basic_tcpshm_queue<Stores>::want(std::uint32_t n) {
  // As far forwards as backwards: one step back shows where it goes.
  if (n - ack_ == std::uint32_t{1} << 31) want(ack_ - 1);
  put_acks(ack_, true);
  if (static_cast<std::int32_t>(n - ack_) < 0) put_acks(n, false);
  put_ack(n);
}

template <class Stores>
void basic_tcpshm_queue<Stores>::put_acks(std::uint32_t value, bool newest_first) {
  std::array<std::byte, k_block> as_on_the_wire{};
  codec::tcpshm::store_header(as_on_the_wire.data(), {k_block, 1, value}, order_);
  std::uint32_t raw = 0;
  std::memcpy(&raw, as_on_the_wire.data() + 4, sizeof raw);
  std::vector<std::uint32_t> starts;
  for (std::uint32_t at = at_.read; at < at_.write; at += message_at(at, at_.write)) starts.push_back(at);
  if (newest_first) std::reverse(starts.begin(), starts.end());
  for (const std::uint32_t at : starts) Stores::word(*reinterpret_cast<std::uint32_t*>(block(at) + 4), raw);
}

template <class Stores>
result<void> basic_tcpshm_queue<Stores>::check() noexcept {
  at_ = {word(k_write), word(k_read), word(k_send), word(k_sequence)};
  ack_ = word(k_ack);
  if (at_.write > capacity_ || at_.read > at_.write) return errc::corrupt;
  end_ = at_.sequence;
  // Each message has the acknowledgement of its push: they never fall, and none is newer than the queue's own.
  bool first = true;
  std::uint32_t last_ack = 0;
  for (std::uint32_t at = at_.read; at < at_.write; first = false) {
    const std::uint32_t need = message_at(at, at_.write);
    if (need == 0) return errc::corrupt;
    const header h = codec::tcpshm::load_header(block(at), order_);
    if (h.type == 0 || static_cast<std::int32_t>(ack_ - h.ack) < 0) return errc::corrupt;
    if (!first && static_cast<std::int32_t>(h.ack - last_ack) < 0) return errc::corrupt;
    last_ack = h.ack;
    // The original leaves what lay there before, which is nobody's business.
    Stores::zero(block(at) + h.size, need * k_block - h.size);
    at += need;
    end_ += 1;
  }
  // Of what was sent, only the peer knows; the original may also die with this number ahead of the others.
  at_.send = at_.read;
  sent_bytes_ = at_.read * k_block;
  Stores::word(word(k_send), at_.send);
  return {};
}

using tcpshm_queue = basic_tcpshm_queue<>;

}  // namespace ferry::session
