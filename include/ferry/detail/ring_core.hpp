#pragma once
/// The native ring: one producer, one consumer, records published in place. Dry: it works on bytes that somebody else
/// mapped, and never waits. Layout and rules: docs/shared-memory.md. Includes no Boost.
///
/// A record is an 8-byte word and its body, padded to 8 bytes. The word is written last, and is 0 where nothing is:
///
///     63       62   61    60 .. 32                        31  30      29    28 .. 0
///     present  pad  more  low 29 bits of the sequence     0   tagged  text  bytes in the body
///
/// A record never wraps: where it has no room before the end of the ring, a pad word (present, pad) sends the reader to
/// the start. A word with present, pad and more says that nothing follows, ever. The first 8 bytes of a tagged body are
/// a ring_tag.
///
/// Nothing here believes the other side: positions and words are read once, and checked before they are used.

#include <ferry/bytes.hpp>

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ferry {

static_assert(std::endian::native == std::endian::little, "the layouts in shared memory are little endian");
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

/// What a ring and its consumer share beside the records: 128 bytes, so that neighbours do not disturb each other.
struct ring_line {
  std::atomic<std::uint64_t> position{0};  ///< consumer: everything before it may be overwritten
  std::atomic<std::uint64_t> sequence{0};  ///< consumer: of the record at `position`; stored before it
  std::byte reserved_1[48]{};
  std::atomic<std::uint64_t> wake_at{0};  ///< producer: wants to be woken at this position; 0: does not wait
  std::byte reserved_2[56]{};
};
static_assert(sizeof(ring_line) == 128 && offsetof(ring_line, sequence) == 8 && offsetof(ring_line, wake_at) == 64);

/// How a record's word is put together.
struct ring_word {
  static constexpr std::uint64_t k_present = 1ull << 63;
  static constexpr std::uint64_t k_pad = 1ull << 62;
  static constexpr std::uint64_t k_more = 1ull << 61;
  static constexpr int k_sequence_shift = 32;
  static constexpr std::uint64_t k_sequence_mask = (1ull << 29) - 1;
  static constexpr std::uint64_t k_reserved = 1ull << 31;
  static constexpr std::uint64_t k_tagged = 1ull << 30;
  static constexpr std::uint64_t k_text = 1ull << 29;
  static constexpr std::uint64_t k_length_mask = k_text - 1;
  static constexpr std::uint64_t k_pad_word = k_present | k_pad;
  static constexpr std::uint64_t k_end_word = k_present | k_pad | k_more;
};

/// The sizes that all of a ring follow from.
struct ring_geometry {
  static constexpr std::size_t k_min_bytes = 4096;
  static constexpr std::size_t k_max_bytes = std::size_t{1} << 30;
  /// @return whether a ring may have this many bytes: a power of two, 4 KiB .. 1 GiB
  [[nodiscard]] static constexpr bool valid(std::uint64_t ring_bytes) noexcept {
    return std::has_single_bit(ring_bytes) && ring_bytes >= k_min_bytes && ring_bytes <= k_max_bytes;
  }
  /// The largest body: a message of a quarter of the ring, with the 16 bytes that may go with it.
  [[nodiscard]] static constexpr std::size_t max_body(std::uint64_t ring_bytes) noexcept {
    return static_cast<std::size_t>(ring_bytes / 4 + 16);
  }
  /// Bytes that a record with such a body takes.
  [[nodiscard]] static constexpr std::uint64_t record_bytes(std::uint64_t body) noexcept {
    return (body + 15) & ~std::uint64_t{7};
  }
};

/// Marks that travel with a record.
enum class ring_marks : std::uint32_t {
  none = 0,
  more = 1u << 31,               ///< the next record goes on with the same message
  tagged = ring_word::k_tagged,  ///< the body starts with a ring_tag
  text = ring_word::k_text,      ///< the message is text
};
[[nodiscard]] constexpr ring_marks operator|(ring_marks a, ring_marks b) noexcept {
  return static_cast<ring_marks>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
[[nodiscard]] constexpr bool has(ring_marks all, ring_marks one) noexcept {
  return (static_cast<std::uint32_t>(all) & static_cast<std::uint32_t>(one)) != 0;
}
/// As bits of a word, and back; in the word, the place of `more` is taken by the reserved bit.
[[nodiscard]] constexpr std::uint64_t word_bits(ring_marks marks) noexcept {
  constexpr std::uint64_t k_low = ring_word::k_tagged | ring_word::k_text;
  return (static_cast<std::uint64_t>(marks) & k_low) | (has(marks, ring_marks::more) ? ring_word::k_more : 0);
}
[[nodiscard]] constexpr ring_marks marks_of(std::uint64_t word) noexcept {
  constexpr std::uint64_t k_low = ring_word::k_tagged | ring_word::k_text;
  static_assert(ring_word::k_more >> 30 == static_cast<std::uint32_t>(ring_marks::more));
  return static_cast<ring_marks>((word & k_low) | ((word >> 30) & static_cast<std::uint32_t>(ring_marks::more)));
}

/// The first 8 bytes of a tagged body.
struct ring_tag {
  std::uint16_t type = 0;
  std::uint16_t reserved = 0;   ///< 0
  std::uint32_t remaining = 0;  ///< of a message in pieces: bytes of the payload in this record and those that follow
};
static_assert(sizeof(ring_tag) == 8);

/// For loops that wait for a ring, once after each look in vain. Without it the processor has many looks under way that
/// it throws away when the word changes, which costs a third of a round trip; several in a row cost more than none.
inline void ring_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A record as its reader sees it. The bytes lie in the ring and are valid until pop(); a producer that is not trusted
/// can change them meanwhile. Two words, so that functions return it in registers.
struct ring_record {
  const std::byte* data = nullptr;  ///< null: there is none
  std::uint32_t size = 0;
  ring_marks marks = ring_marks::none;
  explicit operator bool() const noexcept { return data != nullptr; }
  [[nodiscard]] bytes body() const noexcept { return {data, size}; }
};

/// Writes records. One thread at a time.
///
/// space     a record may be written at t iff  t + pad + record + 8 - published position <= ring
/// publish   body; word(next) = 0; word(t) = w (release).  word(t) is 0 whenever the producer rests.
/// pad       the record is complete at the start of the ring before the pad word (release) leads there
class ring_producer {
 public:
  ring_producer() noexcept = default;
  /// @param data  valid(data.size()), 8-byte aligned; the word at `tail` is 0, as in fresh memory
  /// @param tail, sequence  where the next record goes and its number; 0, 0 in a fresh ring, else from ring_scan()
  ring_producer(std::span<std::byte> data, ring_line& line, std::uint64_t tail = 0, std::uint64_t sequence = 0) noexcept
      : data_(data.data()),
        mask_(data.size() - 1),
        line_(&line),
        tail_(tail),
        seen_(line.position.load(std::memory_order_acquire)),  // pairs with: ring_consumer::publish_position
        sequence_(sequence) {
    // Here alone: later a consumer that can write to all of the memory might have changed it.
    corrupt_ = word(tail_).load(std::memory_order_relaxed) != 0 ||
               !possible(seen_, tail_ < data.size() ? 0 : tail_ - data.size());
    if (corrupt_)
      seen_ = tail_;
    else
      limit_ = seen_ + data.size();
  }

  /// The largest body, in bytes.
  [[nodiscard]] std::size_t max_body() const noexcept { return ring_geometry::max_body(mask_ + 1); }

  /// Room for a record of `size` bytes, 8-byte aligned; nothing is visible before publish().
  /// @param size  0 .. max_body()
  /// @return null: no room now, or corrupt(), or the ring has ended
  [[nodiscard]] std::byte* reserve(std::size_t size) noexcept {
    const auto at = claim(size);
    if (at == k_no_room) return nullptr;
    at_ = at;
    return body_at(at);
  }
  /// Makes the reserved record visible. @param size  at most what was reserved
  void publish(std::size_t size, ring_marks marks = ring_marks::none) noexcept { publish_at(at_, size, marks); }
  // A reservation that is not published is given up by reserving again.

  /// reserve, copy and publish. @return false: as reserve()
  [[nodiscard]] bool try_push(bytes body, ring_marks marks = ring_marks::none) noexcept {
    const auto at = claim(body.size());
    if (at == k_no_room) return false;
    if (!body.empty()) std::memcpy(body_at(at), body.data(), body.size());
    publish_at(at, body.size(), marks);
    return true;
  }

  /// Says that nothing follows, ever; always has room. Idempotent.
  void end() noexcept {
    if (ended_ || data_ == nullptr) return;
    ended_ = true;
    limit_ = 0;
    word(tail_).store(ring_word::k_end_word, std::memory_order_release);  // pairs with: ring_consumer::front
  }
  [[nodiscard]] bool ended() const noexcept { return ended_; }

  /// Whether the position that the consumer published is impossible. For good.
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  /// Bytes ever written, pads included; where the next record goes.
  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  /// Bytes that the consumer has not given back, as far as it has said.
  [[nodiscard]] std::uint64_t used() noexcept {
    look();
    return tail_ - seen_;
  }
  [[nodiscard]] ring_line& line() noexcept { return *line_; }
  [[nodiscard]] std::size_t ring_bytes() const noexcept { return mask_ + 1; }

 private:
  [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::uint64_t position) const noexcept {
    return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(data_ + (position & mask_)));
  }
  static constexpr std::uint64_t k_no_room = ~std::uint64_t{0};

  /// Where a record of this size goes now: tail_, or the start of the ring behind a pad.
  [[nodiscard]] std::uint64_t claim(std::size_t size) noexcept {
    assert(data_ == nullptr || size <= max_body());
    const std::uint64_t record = ring_geometry::record_bytes(size);
    const std::uint64_t offset = tail_ & mask_;
    const std::uint64_t at = offset + record > mask_ + 1 ? tail_ + (mask_ + 1 - offset) : tail_;
    return at + record + 8 <= limit_ || look_again(at + record + 8) ? at : k_no_room;
  }
  [[nodiscard]] std::byte* body_at(std::uint64_t at) const noexcept { return data_ + (at & mask_) + 8; }
  void publish_at(std::uint64_t at, std::size_t size, ring_marks marks) noexcept {
    const std::uint64_t tail = tail_;
    const std::uint64_t sequence = sequence_;
    const std::uint64_t next = at + ring_geometry::record_bytes(size);
    const std::uint64_t w = ring_word::k_present | word_bits(marks) |
                            ((sequence & ring_word::k_sequence_mask) << ring_word::k_sequence_shift) | size;
    assert(next + 8 <= limit_ && (at & mask_) + (next - at) <= mask_ + 1);
    const auto end = word(next), first = word(at), before = word(tail);
    tail_ = next;
    sequence_ = sequence + 1;
    end.store(0, std::memory_order_relaxed);
    if (at != tail) [[unlikely]] {
      first.store(w, std::memory_order_relaxed);
      before.store(ring_word::k_pad_word, std::memory_order_release);  // pairs with: ring_consumer::front
    } else {
      first.store(w, std::memory_order_release);  // pairs with: ring_consumer::front
    }
  }
  /// Whether a consumer that was at `before` can be at `now`.
  [[nodiscard]] bool possible(std::uint64_t now, std::uint64_t before) const noexcept {
    return before <= now && now <= tail_ && (now & 7) == 0;
  }
  /// Reads the consumer's position.
  void look() noexcept {
    if (corrupt_ || data_ == nullptr) return;
    const std::uint64_t now = line_->position.load(std::memory_order_acquire);  // pairs with: publish_position
    corrupt_ = !possible(now, seen_);
    if (!corrupt_) seen_ = now;
    limit_ = corrupt_ || ended_ ? 0 : seen_ + mask_ + 1;
  }
  /// @return whether everything before `end` may be written
  [[nodiscard]] bool look_again(std::uint64_t end) noexcept {
    look();
    return end <= limit_;
  }

  std::byte* data_ = nullptr;
  std::uint64_t mask_ = ~std::uint64_t{0};  // of nothing
  ring_line* line_ = nullptr;
  std::uint64_t tail_ = 0;
  std::uint64_t seen_ = 0;   // last position of the consumer that we believed
  std::uint64_t limit_ = 0;  // everything before it may be written; 0 once ended or corrupt
  std::uint64_t sequence_ = 0;
  std::uint64_t at_ = 0;  // where the reserved record goes
  bool ended_ = false;
  bool corrupt_ = false;
};

/// Reads records. One thread at a time. Its memory may be mapped read-only but for the line.
///
/// front     w = word(cur) (acquire), read once; 0: empty; then length, end and sequence are checked
/// position  published every eighth of the ring, when found empty, and when asked for
class ring_consumer {
 public:
  ring_consumer() noexcept = default;
  /// @param data  as for the producer @param position, sequence  where to read on; 0, 0 in a fresh ring
  ring_consumer(std::span<const std::byte> data, ring_line& line, std::uint64_t position = 0,
                std::uint64_t sequence = 0) noexcept
      : data_(data.data()),
        mask_(data.size() - 1),
        line_(&line),
        at_(position),
        published_(position),
        publish_at_(position + data.size() / 8),
        sequence_(sequence) {}

  /// The oldest record, or none. None for good once ended() or corrupt().
  [[nodiscard]] ring_record front() noexcept {
    // Ours is read before the word is: behind it everything might have changed, for all that the compiler knows.
    const std::byte* const data = data_;
    const std::uint64_t ring = mask_ + 1;
    const std::uint64_t offset = at_ & mask_;
    const std::uint64_t expected = expected_;
    const std::uint64_t sequence = (sequence_ & ring_word::k_sequence_mask) << ring_word::k_sequence_shift;
    const std::uint64_t w = word(data + offset);
    const std::uint64_t size = w & ring_word::k_length_mask;
    // record_bytes(size) where size is within the limit; short, because the next record's place waits for it.
    const std::uint64_t record = (w + 15) & (ring_word::k_length_mask & ~std::uint64_t{7});
    // Present, no pad, reserved bit clear, our sequence number; within the limit and the ring; with room for its tag.
    if (((w ^ sequence) & k_fixed) != expected || size > ring_geometry::max_body(ring) || offset + record > ring ||
        ((w & ring_word::k_tagged) != 0 && size < sizeof(ring_tag))) [[unlikely]]
      return front_slowly(w);
    record_ = record;
    return {data + offset + 8, static_cast<std::uint32_t>(size), marks_of(w)};
  }
  /// Done with the record that front() gave; its bytes may be overwritten from now on.
  /// @return whether the position was published now
  bool pop() noexcept {
    at_ += record_;
    sequence_ += 1;
    if (at_ < publish_at_) [[likely]]
      return false;
    publish_position();
    return true;
  }
  /// Whether a record, the end or something corrupt is there, without taking notice of it. For spinning.
  [[nodiscard]] bool something() const noexcept { return word(data_ + (at_ & mask_)) != 0; }

  /// For loops that look until something is there, once after each look in vain: a ring_pause(), and while records come
  /// in bursts up to 32 of them, some 500 ns. A consumer on the heels of its producer takes away line after line that
  /// is being written, and the rate falls to a third, or to a sixth where the two share no cache.
  void pause() noexcept {
    const std::uint64_t came = sequence_ - paused_at_;
    paused_at_ = sequence_;
    if (came > 1)
      pauses_ = pauses_ < k_most_pauses ? 2 * pauses_ : k_most_pauses;
    else if (came == 0 && pauses_ > 1)
      pauses_ /= 2;
    for (unsigned i = 0; i < pauses_; ++i) ring_pause();
  }
  /// Tells the producer what is free. Before sleeping, and before anybody asks who has read what.
  void publish_position() noexcept {
    if (published_ == at_) return;
    line_->sequence.store(sequence_, std::memory_order_relaxed);
    line_->position.store(at_, std::memory_order_release);  // pairs with: ring_producer::look_again
    published_ = at_;
    publish_at_ = at_ + (mask_ + 1) / 8;
    producer_may_wait_ = true;
  }
  /// A position was published since take_producer_waits() was asked.
  [[nodiscard]] bool published_lately() const noexcept { return producer_may_wait_; }
  /// Whether the producer waits for the room that was made; then wake it. The caller sees to it that the position was
  /// stored before this is called: by the producer's membarrier, or by its own barrier.
  [[nodiscard]] bool take_producer_waits() noexcept {
    producer_may_wait_ = false;
    std::uint64_t at = line_->wake_at.load(std::memory_order_relaxed);
    if (at == 0 || published_ < at) return false;
    // The producer may have gone on and wait for more by now: a plain store would wipe that wish out.
    return line_->wake_at.compare_exchange_strong(at, 0, std::memory_order_relaxed);
  }

  /// The producer has said that nothing follows, and everything was read.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// The producer, or whoever else can write here, broke the rules. For good.
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  [[nodiscard]] std::uint64_t position() const noexcept { return at_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] std::size_t max_body() const noexcept { return ring_geometry::max_body(mask_ + 1); }

 private:
  static constexpr unsigned k_most_pauses = 32;
  static constexpr std::uint64_t k_fixed = ring_word::k_present | ring_word::k_pad | ring_word::k_reserved |
                                           (ring_word::k_sequence_mask << ring_word::k_sequence_shift);
  static constexpr std::uint64_t k_never = ring_word::k_text;  // within k_fixed no word looks like this

  [[nodiscard]] static std::uint64_t word(const std::byte* at) noexcept {
    // atomic_ref wants something that is not const; a load does not write.
    return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(at)))
        .load(std::memory_order_acquire);  // pairs with: ring_producer::publish, end
  }
  [[nodiscard]] ring_record front_slowly(std::uint64_t w) noexcept {
    if (expected_ == k_never) return {};
    if (w == 0) {
      publish_position();
      return {};
    }
    if (w == ring_word::k_end_word) {
      publish_position();
      ended_ = true;
      expected_ = k_never;
      return {};
    }
    // Only where the largest record has no room there may be a pad; never at the start, so this turns at most once.
    if (w == ring_word::k_pad_word &&
        (at_ & mask_) + ring_geometry::record_bytes(ring_geometry::max_body(mask_ + 1)) > mask_ + 1) {
      at_ += mask_ + 1 - (at_ & mask_);
      return front();
    }
    corrupt_ = true;
    expected_ = k_never;
    return {};
  }

  alignas(8) static constexpr std::byte k_nothing[8]{};

  const std::byte* data_ = k_nothing;  // without memory there is never a record
  std::uint64_t mask_ = 0;
  ring_line* line_ = nullptr;
  std::uint64_t at_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t publish_at_ = 0;  // an eighth of the ring behind published_
  std::uint64_t sequence_ = 0;
  std::uint64_t record_ = 0;                       // bytes that the record takes that front() gave
  std::uint64_t expected_ = ring_word::k_present;  // k_never once ended() or corrupt()
  std::uint64_t paused_at_ = 0;                    // sequence_ at the last pause()
  unsigned pauses_ = 1;                            // of the last pause()
  bool producer_may_wait_ = false;
  bool ended_ = false;
  bool corrupt_ = false;
};

/// What lies in a ring between two positions, for whoever comes back to it or looks at it.
struct ring_contents {
  std::uint64_t tail = 0;      ///< behind the last record: where the next one goes
  std::uint64_t sequence = 0;  ///< number of the next record
  std::uint64_t records = 0;
  std::uint64_t body_bytes = 0;
  bool ended = false;
};
/// Walks from the published position to the first word that is 0. Nothing is changed.
/// @return nothing if the records break the rules
[[nodiscard]] std::optional<ring_contents> ring_scan(std::span<const std::byte> data, const ring_line& line) noexcept;

}  // namespace ferry
