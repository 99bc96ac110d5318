#pragma once
/// The producer of a native ring whose records become visible together, when their owner says so: the word of a batch's
/// first record is withheld, so a reader stands before it however much lies behind. What a reader sees is the ring that
/// ring_producer writes. Source: docs/sessions.md.

#include <ferry/detail/ring_core.hpp>

#include <cassert>

#include "ring/stores.hpp"

namespace ferry::ring {

/// Records that lie in the ring, of which the first one's word (or the pad before it) is not stored yet.
struct ring_batch {
  std::uint64_t start = 0;     ///< where the withheld word goes
  std::uint64_t word = 0;      ///< the withheld word; 0: no records
  std::uint64_t end = 0;       ///< behind the last record
  std::uint64_t sequence = 0;  ///< number of the next record
  [[nodiscard]] bool empty() const noexcept { return word == 0; }
};

/// Whose word it is that room may be used again.
enum class room_by : std::uint8_t {
  position,  ///< the consumer's: what it has published
  grant,     ///< the owner's: grant(), after the consumer's position has reached the disk
};

/// One thread at a time.
///
///     ... records | revealed | closed batches, each behind a word 0 | open batch, its first word 0 |
///
/// The word at the end of the closed batches is 0, and stays so until the open batch is closed and revealed.
template <class Stores = direct_stores>
class ring_stager {
 public:
  /// @param data  valid(data.size()), 8-byte aligned; the word at `tail` is 0, and everything before it is visible
  /// @param freed  everything before it may be overwritten; at most `tail`, at least `tail` less the ring
  ring_stager(std::span<std::byte> data, ring_line& line, std::uint64_t tail, std::uint64_t sequence,
              std::uint64_t freed, room_by rule) noexcept
      : data_(data.data()),
        mask_(data.size() - 1),
        line_(&line),
        limit_(freed + data.size()),
        tail_(tail),
        open_start_(tail),
        sequence_(sequence),
        open_sequence_(sequence),
        seen_(freed),
        revealed_(tail),
        rule_(rule) {}

  [[nodiscard]] std::size_t max_body() const noexcept { return ring_geometry::max_body(mask_ + 1); }

  /// Room for a record behind what is staged, 8-byte aligned. Reserving again gives it up.
  /// @param size  0 .. max_body()  @return null: no room now, or corrupt()
  [[nodiscard]] std::byte* reserve(std::size_t size) noexcept {
    assert(size <= max_body());
    const std::uint64_t record = ring_geometry::record_bytes(size);
    at_ = place(tail_, record);
    if (at_ + record + 8 > limit_) [[unlikely]]
      if (!look_again(at_ + record + 8)) return nullptr;
    return data_ + (at_ & mask_) + 8;
  }
  /// Where a record ends that comes behind everything before `from`, a tail; for whoever keeps its records elsewhere
  /// until their batch is closed.
  [[nodiscard]] std::uint64_t end_behind(std::uint64_t from, std::size_t size) const noexcept {
    const std::uint64_t record = ring_geometry::record_bytes(size);
    return place(from, record) + record;
  }
  /// Whether reserve() has room for records up to that end.
  [[nodiscard]] bool has_room_up_to(std::uint64_t end) noexcept { return end + 8 <= limit_ || look_again(end + 8); }
  /// The word that the next record will have.
  [[nodiscard]] std::uint64_t next_word(std::size_t size, ring_marks marks) const noexcept {
    return ring_word::k_present | word_bits(marks) |
           ((sequence_ & ring_word::k_sequence_mask) << ring_word::k_sequence_shift) | size;
  }
  /// The reserved record joins the open batch. @param size  at most what was reserved
  void stage(std::size_t size, ring_marks marks) noexcept {
    if (at_ != tail_) [[unlikely]]
      put(tail_, ring_word::k_pad_word);
    put(at_, next_word(size, marks));
    tail_ = at_ + ring_geometry::record_bytes(size);
    sequence_ += 1;
  }

  /// Whether the reserved record goes behind a pad.
  [[nodiscard]] bool behind_pad() const noexcept { return at_ != tail_; }
  /// The reserved record becomes a closed batch by itself, of which nothing is written: its owner writes the body, and
  /// then calls end_at(). No batch is open, and the record is not behind_pad().
  [[nodiscard]] ring_batch alone(std::size_t size, ring_marks marks) noexcept {
    assert(!staged() && !behind_pad());
    const ring_batch closed{tail_, next_word(size, marks), tail_ + ring_geometry::record_bytes(size), sequence_ + 1};
    tail_ = closed.end;
    sequence_ = closed.sequence;
    begin();
    return closed;
  }
  /// What alone() is going to give, if the next record has the size and the marks of one with this word.
  [[nodiscard]] ring_batch alike(std::uint64_t before) const noexcept {
    const std::size_t size = before & ring_word::k_length_mask;
    return {tail_, next_word(size, marks_of(before)), tail_ + ring_geometry::record_bytes(size), sequence_ + 1};
  }
  /// The word behind a batch becomes 0.
  void end_at(std::uint64_t end) noexcept { Stores::word(word(end), 0, std::memory_order_relaxed); }

  /// Ends the open batch: the word behind it becomes 0, and another one may be opened. Nothing is visible yet.
  [[nodiscard]] ring_batch close() noexcept {
    const ring_batch closed{open_start_, open_word_, tail_, sequence_};
    if (!closed.empty()) end_at(tail_);
    begin();
    return closed;
  }
  /// Gives the open batch up.
  void abandon() noexcept {
    tail_ = open_start_;
    sequence_ = open_sequence_;
    open_word_ = 0;
  }
  /// A closed batch becomes part of the closed one before it, which is not revealed yet.
  void join(ring_batch& before, const ring_batch& next) noexcept {
    if (next.empty()) return;
    if (before.empty()) {
      before = next;
      return;
    }
    Stores::word(word(next.start), next.word, std::memory_order_relaxed);
    before.end = next.end;
    before.sequence = next.sequence;
  }
  /// All records of a closed batch appear at once. Batches are revealed in their order.
  void reveal(const ring_batch& closed) noexcept {
    Stores::word(word(closed.start), closed.word, std::memory_order_release);  // pairs with: ring_consumer::front
    revealed_ = closed.end;
  }

  /// Everything before `position` may be overwritten: with room_by::grant.
  void grant(std::uint64_t position) noexcept {
    if (!corrupt_) limit_ = position + mask_ + 1;
  }
  /// No room for anything until restart(): with room_by::grant. Nothing is staged.
  void shut() noexcept { limit_ = 0; }
  /// Goes on at the tail with another number, all before it given up: the position in the line is the tail already, and
  /// nothing is staged.
  void restart(std::uint64_t sequence) noexcept {
    sequence_ = sequence;
    seen_ = tail_;
    begin();
    if (!corrupt_) limit_ = tail_ + mask_ + 1;
  }

  /// Reads the consumer's position. @return the last one that could be believed
  std::uint64_t look() noexcept {
    if (corrupt_) return seen_;
    const std::uint64_t now = line_->position.load(std::memory_order_acquire);  // pairs with: held_consumer::publish
    corrupt_ = now < seen_ || now > revealed_ || (now & 7) != 0;
    if (!corrupt_) seen_ = now;
    if (corrupt_)
      limit_ = 0;
    else if (rule_ == room_by::position)
      limit_ = seen_ + mask_ + 1;
    return seen_;
  }
  /// As look() found it.
  [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }
  /// Whether the position that the consumer published is impossible. For good.
  [[nodiscard]] bool corrupt() const noexcept { return corrupt_; }
  /// Where the next record goes, and its number.
  [[nodiscard]] std::uint64_t tail() const noexcept { return tail_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  /// Everything before it is visible.
  [[nodiscard]] std::uint64_t revealed() const noexcept { return revealed_; }
  [[nodiscard]] bool staged() const noexcept { return open_word_ != 0; }
  [[nodiscard]] std::span<const std::byte> data() const noexcept { return {data_, mask_ + 1}; }
  [[nodiscard]] ring_line& line() const noexcept { return *line_; }

 private:
  [[nodiscard]] std::uint64_t& word(std::uint64_t position) const noexcept {
    return *reinterpret_cast<std::uint64_t*>(data_ + (position & mask_));
  }
  /// Records do not wrap: one that does not fit before the end goes to the start, behind a pad.
  [[nodiscard]] std::uint64_t place(std::uint64_t from, std::uint64_t record) const noexcept {
    const std::uint64_t offset = from & mask_;
    return offset + record > mask_ + 1 ? from + (mask_ + 1 - offset) : from;
  }
  void begin() noexcept {
    open_start_ = tail_;
    open_word_ = 0;
    open_sequence_ = sequence_;
  }
  void put(std::uint64_t at, std::uint64_t value) noexcept {
    if (open_word_ == 0)
      open_word_ = value;
    else
      Stores::word(word(at), value, std::memory_order_relaxed);
  }
  [[nodiscard]] bool look_again(std::uint64_t end) noexcept {
    look();
    return end <= limit_;
  }

  // What close() reads are no neighbours: a compiler that loads two words at once waits for the one just stored.
  std::byte* data_;
  std::uint64_t mask_;
  ring_line* line_;
  std::uint64_t open_word_ = 0;  // withheld
  std::uint64_t limit_;          // everything before it may be written; 0 once corrupt
  std::uint64_t tail_;
  std::uint64_t at_ = 0;  // where the reserved record goes
  std::uint64_t open_start_;
  std::uint64_t sequence_;
  std::uint64_t open_sequence_;
  std::uint64_t seen_;
  std::uint64_t revealed_;
  room_by rule_;
  bool corrupt_ = false;
};

}  // namespace ferry::ring
