#pragma once
/// The ring that tcpshm's programs share: messages in blocks of 64 bytes, two block counts that run freely. Dry: the
/// memory is given. Source: docs/compat-tcpshm.md.
///
///     0            blocks: a message is a header (u16 size, u16 type, u32) and its body, in ceil(size / 64) blocks;
///                  it never wraps: size 0 says 'go on at the start'
///     ring bytes   u32 write_idx, stored by the producer; beside it u32 read_idx as the producer last saw it
///     + 128        u32 read_idx, stored by the consumer
///     + 256        the end
///
/// Neither side believes the other one: a word of shared memory is read once and checked, and positions of one's own
/// are kept in private. Views are for peers that do not change bytes under the reader.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace ferry::ring {

inline constexpr std::uint32_t k_tcpshm_block = 64;

/// @param ring_bytes  a power of two, 128 .. 2^30
[[nodiscard]] constexpr std::size_t tcpshm_ring_file_bytes(std::size_t ring_bytes) noexcept { return ring_bytes + 256; }

/// The memory of one ring. Copies refer to the same.
class tcpshm_ring_memory {
 public:
  tcpshm_ring_memory() noexcept = default;
  /// @param all  tcpshm_ring_file_bytes(ring_bytes) of them, aligned to 8; outlives this
  tcpshm_ring_memory(std::span<std::byte> all, std::size_t ring_bytes) noexcept
      : at_(all.data()),
        bytes_(static_cast<std::uint32_t>(ring_bytes)),
        blocks_(static_cast<std::uint32_t>(ring_bytes) / k_tcpshm_block) {}

  [[nodiscard]] std::uint32_t blocks() const noexcept { return blocks_; }
  [[nodiscard]] std::byte* block(std::uint32_t index) const noexcept {
    return at_ + std::size_t{index & (blocks_ - 1)} * k_tcpshm_block;
  }
  [[nodiscard]] std::atomic_ref<std::uint32_t> write_index() const noexcept { return word(bytes_); }
  [[nodiscard]] std::atomic_ref<std::uint32_t> read_index_seen() const noexcept { return word(bytes_ + 4); }
  [[nodiscard]] std::atomic_ref<std::uint32_t> read_index() const noexcept { return word(bytes_ + 128); }

  /// Both indices 0: empty, whatever lay there. Neither side uses it now.
  void reset() const noexcept;

 private:
  [[nodiscard]] std::atomic_ref<std::uint32_t> word(std::size_t offset) const noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(at_ + offset));
  }
  std::byte* at_ = nullptr;
  std::uint32_t bytes_ = 0;
  std::uint32_t blocks_ = 0;
};

/// A message's first word, read once.
struct tcpshm_record {
  std::uint16_t size = 0;  ///< with the header's 8 bytes; 0: none
  std::uint16_t type = 0;
  std::byte* at = nullptr;       ///< of the header
  std::uint32_t next_index = 0;  ///< the position behind it
  explicit operator bool() const noexcept { return size != 0; }
};

/// The record at `index`, before `end`, a pad before it skipped.
/// @return a record | none: nothing, or nothing but a pad | corrupt
[[nodiscard]] result<tcpshm_record> tcpshm_record_at(const tcpshm_ring_memory& ring, std::uint32_t index,
                                                     std::uint32_t end) noexcept;

/// Messages, and bytes of their bodies.
struct tcpshm_backlog {
  std::uint64_t messages = 0, bytes = 0;
};
/// What lies between two positions, up to what cannot be; walks through it.
[[nodiscard]] tcpshm_backlog tcpshm_backlog_between(const tcpshm_ring_memory& ring, std::uint32_t index,
                                                    std::uint32_t end) noexcept;

/// One thread uses it.
class tcpshm_ring_producer {
 public:
  /// Goes on where the memory says.
  /// @return corrupt: its indices or what lies between them cannot be
  [[nodiscard]] result<void> attach(const tcpshm_ring_memory& ring);

  /// Room for a message of `size` bytes, header included, aligned to 64; the header's size is written, and nothing can
  /// be seen before push(). Asking again forgets the room given before.
  /// @param size  8 .. 65535 @return null: full, or it never fits, or corrupt
  [[nodiscard]] std::byte* alloc(std::uint16_t size) noexcept {
    const std::uint32_t need = blocks_of(size);
    if (corrupt_ || !in_step()) return nullptr;
    const std::uint32_t to_end = ring_.blocks() - (write_ & (ring_.blocks() - 1));
    const std::uint32_t pad = need > to_end ? to_end : 0;
    if (pad + need > ring_.blocks() - (write_ - read_seen_)) {
      look();
      if (corrupt_ || pad + need > ring_.blocks() - (write_ - read_seen_)) return nullptr;
    }
    from_ = write_ + pad;
    to_ = from_ + need;
    std::byte* const at = ring_.block(from_);
    std::memcpy(at, &size, sizeof size);
    return at;
  }
  /// The message can be seen. @param type, the body: the caller has written them; alloc() has succeeded before
  void push() noexcept {
    // The pad is there before anybody may look at it, and moves the index together with the message: whoever is killed
    // between two stores has pushed it all, or nothing.
    if (from_ != write_) std::atomic_ref(*reinterpret_cast<std::uint64_t*>(ring_.block(write_))).store(0, relaxed);
    write_ = to_;
    ring_.write_index().store(write_, std::memory_order_release);  // pairs with: tcpshm_ring_consumer::front
  }
  /// The peer has stored what cannot be; nothing more can be sent.
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  /// Messages that attach() found in it.
  [[nodiscard]] std::uint32_t found() const noexcept { return found_; }
  /// What was pushed and lies before the peer, in whole blocks; the whole ring if the peer's index cannot be.
  [[nodiscard]] std::size_t unread_bytes() const noexcept {
    const auto read = ring_.read_index().load(std::memory_order_acquire);
    return std::size_t{std::min(write_ - read, ring_.blocks())} * k_tcpshm_block;
  }
  /// The same in messages, counted one by one.
  [[nodiscard]] std::uint64_t unread_messages() const noexcept {
    return tcpshm_backlog_between(ring_, ring_.read_index().load(std::memory_order_acquire), write_).messages;
  }
  /// In blocks; changes with each push.
  [[nodiscard]] std::uint32_t position() const noexcept { return write_; }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  [[nodiscard]] static std::uint32_t blocks_of(std::uint32_t size) noexcept {
    return (size + k_tcpshm_block - 1) / k_tcpshm_block;
  }
  // The original client empties both rings after its first login, when we may be attached already.
  [[nodiscard]] bool in_step() noexcept {
    const auto shared = ring_.write_index().load(relaxed);
    if (shared == write_) [[likely]]
      return true;
    if (shared != 0) corrupt_ = true;
    write_ = read_seen_ = 0;
    return !corrupt_;
  }
  void look() noexcept {
    const auto read = ring_.read_index().load(std::memory_order_acquire);  // pairs with: tcpshm_ring_consumer::pop
    if (write_ - read > ring_.blocks() || read - read_seen_ > ring_.blocks()) {
      corrupt_ = true;
      return;
    }
    read_seen_ = read;
    ring_.read_index_seen().store(read, relaxed);
  }

  tcpshm_ring_memory ring_;
  std::uint32_t write_ = 0;
  std::uint32_t read_seen_ = 0;
  std::uint32_t from_ = 0, to_ = 0;  // of the message that alloc() gave
  std::uint32_t found_ = 0;
  bool corrupt_ = false;
};

/// One thread uses it.
class tcpshm_ring_consumer {
 public:
  /// Goes on where the memory says. @return corrupt: the indices are too far apart
  [[nodiscard]] result<void> attach(const tcpshm_ring_memory& ring);

  /// The oldest message; the same until pop(). None: empty, or corrupt().
  [[nodiscard]] tcpshm_record front() noexcept {
    if (front_ || corrupt_) return front_;
    const auto write = ring_.write_index().load(std::memory_order_acquire);  // pairs with: tcpshm_ring_producer::push
    if (write == read_) return {};
    return look(write);
  }
  /// front() has given a message.
  void pop() noexcept {
    read_ = front_.next_index;
    front_ = {};
    ring_.read_index().store(read_, std::memory_order_release);  // pairs with: tcpshm_ring_producer::look
  }
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  /// What was not popped.
  [[nodiscard]] tcpshm_backlog waiting() const noexcept {
    const auto write = ring_.write_index().load(std::memory_order_acquire);  // pairs with: tcpshm_ring_producer::push
    return tcpshm_backlog_between(ring_, read_, write);
  }
  /// In blocks; changes with each pop.
  [[nodiscard]] std::uint32_t position() const noexcept { return read_; }

 private:
  tcpshm_record look(std::uint32_t write) noexcept;

  tcpshm_ring_memory ring_;
  std::uint32_t read_ = 0;
  tcpshm_record front_;
  bool corrupt_ = false;
};

}  // namespace ferry::ring
