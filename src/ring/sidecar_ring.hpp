#pragma once
/// The ring that a service and its sidecar share: whole messages, one writer, one reader. Dry: the memory is given.
/// Source: docs/sidecar.md.
///
///     0       u32 1024, u32 queue bytes, u32 head (the reader's), u32 tail (the writer's)
///     1024    the queue; head == tail: empty; one byte always stays free
///
///     message   u64 validation, u32 version 1, u64 milliseconds since 1970, u8 kind (5 filler, 7 message),
///               u8 head type (1 protobuf), u32 length (header, head, payload), u32 head length; head; payload
///
/// A message never wraps: where it does not fit before the end, a filler says so (or there is no room for its header),
/// and it lies at the start. Neither side believes the other one: what lies in shared memory is read once and checked,
/// and the own position is kept in private. Views are for peers that do not change bytes under the reader.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace ferry::ring {

inline constexpr std::size_t k_sidecar_control_bytes = 1024;
inline constexpr std::size_t k_sidecar_header_bytes = 30;
inline constexpr std::size_t k_min_sidecar_queue = 4096;
inline constexpr std::size_t k_max_sidecar_queue = 0xffffffffu - k_sidecar_control_bytes;

/// The memory of one ring. Copies refer to the same.
class sidecar_ring_memory {
 public:
  sidecar_ring_memory() noexcept = default;

  /// Makes an empty ring of all of it. @param all  k_sidecar_control_bytes and a queue, aligned to 4, zero
  static void format(std::span<std::byte> all) noexcept;
  /// @param all  a whole file, aligned to 4; outlives this
  /// @return corrupt: the sizes in it are not its own, or out of range, with the values
  [[nodiscard]] static result<sidecar_ring_memory> open(std::span<std::byte> all);

  [[nodiscard]] std::uint32_t queue_bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::byte* at(std::uint32_t position) const noexcept { return queue_ + position; }
  [[nodiscard]] std::atomic_ref<std::uint32_t> head() const noexcept { return word(8); }
  [[nodiscard]] std::atomic_ref<std::uint32_t> tail() const noexcept { return word(12); }
  /// Bytes from one position to another one, onwards. @param from, to  0 .. queue_bytes()
  [[nodiscard]] std::uint32_t distance(std::uint32_t from, std::uint32_t to) const noexcept {
    return to >= from ? to - from : to + (bytes_ - from);
  }

 private:
  explicit sidecar_ring_memory(std::span<std::byte> all) noexcept
      : control_(all.data()),
        queue_(all.data() + k_sidecar_control_bytes),
        bytes_(static_cast<std::uint32_t>(all.size() - k_sidecar_control_bytes)) {}
  [[nodiscard]] std::atomic_ref<std::uint32_t> word(std::size_t offset) const noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(control_ + offset));
  }
  std::byte* control_ = nullptr;
  std::byte* queue_ = nullptr;
  std::uint32_t bytes_ = 0;
};

/// One thread uses it.
class sidecar_ring_producer {
 public:
  sidecar_ring_producer() noexcept = default;
  /// Goes on where the memory says. @return corrupt: a position lies outside of the queue
  [[nodiscard]] static result<sidecar_ring_producer> attach(const sidecar_ring_memory& ring);

  /// Bytes of head and payload that fit for certain into a ring that is empty; what is larger fits only where the ring
  /// happens to stand, as a message neither wraps nor moves the reader.
  [[nodiscard]] std::size_t max_body() const noexcept { return (ring_.queue_bytes() - 1) / 2 - k_sidecar_header_bytes; }
  /// Room for a message's head and payload, together. Nothing can be seen before publish(); asking again forgets the
  /// room given before. @return null: no room now, or it never fits, or corrupt()
  [[nodiscard]] std::byte* reserve(std::size_t body_bytes) noexcept;
  /// The message can be seen. @param body_bytes  of it, at most what reserve() was asked for @param head_bytes  of
  /// these, the head's @param time_ms  since 1970
  void publish(std::size_t body_bytes, std::size_t head_bytes, std::uint64_t time_ms) noexcept;

  /// The reader's position cannot be; nothing more can be sent.
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  /// Whether the position that it wrote last is still what the memory says: nobody else has any business there.
  [[nodiscard]] bool is_position_there() const noexcept {
    return ring_.tail().load(std::memory_order_relaxed) == tail_;
  }
  /// What the reader has not taken, fillers included.
  [[nodiscard]] std::uint32_t unread_bytes() noexcept;
  [[nodiscard]] std::uint32_t queue_bytes() const noexcept { return ring_.queue_bytes(); }
  /// The most of it that was ever seen since it was asked last.
  [[nodiscard]] std::uint32_t take_peak() noexcept { return std::max(unread_bytes(), std::exchange(peak_, 0)); }

 private:
  bool look() noexcept;
  [[nodiscard]] bool place(std::uint32_t length) noexcept;

  sidecar_ring_memory ring_;
  std::uint32_t tail_ = 0;
  std::uint32_t head_seen_ = 0;
  std::uint32_t from_ = 0;  // of the message that reserve() gave room for
  std::uint32_t peak_ = 0;
  bool corrupt_ = false;
};

struct sidecar_record {
  bytes body;                    ///< head and payload
  std::uint32_t head_bytes = 0;  ///< of these, the head's
  std::uint64_t time_ms = 0;     ///< when it was sent, since 1970
  bool there = false;
  explicit operator bool() const noexcept { return there; }
};

struct sidecar_ring_limits {
  std::size_t max_payload = 10u << 20;
  std::uint64_t valid_ms = 0;        ///< what is older is skipped; 0: nothing is
  std::uint32_t max_skipped = 2000;  ///< in one call of front()
};

/// A message that says that it is older counts as one of this age: what it says is its writer's.
inline constexpr std::uint64_t k_most_sidecar_delay_ms = 3'600'000;

struct sidecar_ring_stats {
  std::uint64_t messages = 0;
  std::uint64_t expired = 0;        ///< skipped, as they were too old
  std::uint64_t faults = 0;         ///< times that everything unread was dropped
  std::uint64_t dropped_bytes = 0;  ///< of these times
  std::uint64_t delay_sum_ms = 0;   ///< from sent to read, of `messages`; k_most_sidecar_delay_ms at most of each
  std::uint64_t delay_max_ms = 0;

  void count_delay(std::uint64_t sent_ms, std::uint64_t now_ms) noexcept {
    const auto delay = std::min(now_ms > sent_ms ? now_ms - sent_ms : 0, k_most_sidecar_delay_ms);
    delay_sum_ms += delay;
    delay_max_ms = std::max(delay_max_ms, delay);
  }
  sidecar_ring_stats& operator+=(const sidecar_ring_stats& other) noexcept {
    messages += other.messages;
    expired += other.expired;
    faults += other.faults;
    dropped_bytes += other.dropped_bytes;
    delay_sum_ms += other.delay_sum_ms;
    delay_max_ms = std::max(delay_max_ms, other.delay_max_ms);
    return *this;
  }
};

/// One thread uses it.
class sidecar_ring_consumer {
 public:
  sidecar_ring_consumer() noexcept = default;
  /// Goes on where the memory says. @return corrupt: a position lies outside of the queue
  [[nodiscard]] static result<sidecar_ring_consumer> attach(const sidecar_ring_memory& ring,
                                                            const sidecar_ring_limits& limits = {});

  /// The oldest message that is not too old; the same until pop(). @return none: empty, or max_skipped were too old |
  /// corrupt | message_too_large: what lies there cannot be, with the values; everything unread is dropped, and the
  /// next call goes on behind it; only a tail outside of the queue cannot be followed, and is told by every call
  [[nodiscard]] result<sidecar_record> front(std::uint64_t now_ms);
  /// front() has given a message: its room is the writer's again.
  void pop() noexcept;
  /// front() has given none as max_skipped were too old: more lies behind them.
  [[nodiscard]] bool skips() const noexcept { return skips_; }

  /// As of the producer.
  [[nodiscard]] bool is_position_there() const noexcept {
    return ring_.head().load(std::memory_order_relaxed) == head_;
  }
  [[nodiscard]] const sidecar_ring_stats& stats() const noexcept { return stats_; }
  [[nodiscard]] std::uint32_t unread_bytes() const noexcept;
  [[nodiscard]] std::uint32_t queue_bytes() const noexcept { return ring_.queue_bytes(); }
  /// The most of it that front() has ever seen since it was asked last.
  [[nodiscard]] std::uint32_t take_peak() noexcept { return std::max(unread_bytes(), std::exchange(peak_, 0)); }

 private:
  struct header;
  [[nodiscard]] result<sidecar_record> look(std::uint32_t tail);
  [[nodiscard]] error dropped(std::uint32_t tail, errc reason, const std::string& what);
  [[nodiscard]] error dropped_at(std::uint32_t tail, const header& found, const std::string& what);
  void move_to(std::uint32_t position) noexcept;
  [[nodiscard]] bool expired(const sidecar_record& one, std::uint64_t now_ms) const noexcept;

  sidecar_ring_memory ring_;
  sidecar_ring_limits limits_;
  std::uint32_t head_ = 0;
  std::uint32_t next_ = 0;  // behind front_
  std::uint32_t peak_ = 0;
  sidecar_record front_;
  bool skips_ = false;
  sidecar_ring_stats stats_;
};

}  // namespace ferry::ring
