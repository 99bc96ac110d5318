#pragma once
/// Whole messages through a native ring: one record each, or several where one would be too large. All records of a
/// message become visible one after the other, but only if there is room for all of them. Dry: the memory is given.
/// Source: docs/sidecar.md.
///
/// A message in one record is marked `text`. Of several the first one is tagged with the bytes of the whole message (in
/// `remaining`); those that follow it have neither mark, and the last one is the one without `more`.

#include <ferry/bytes.hpp>
#include <ferry/detail/ring_core.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ferry::ring {

/// One thread uses it.
class message_ring_producer {
 public:
  message_ring_producer() noexcept = default;
  explicit message_ring_producer(const ring_producer& out) noexcept : out_(out) {}

  /// Bytes of a message that fit for certain into a ring that is empty.
  [[nodiscard]] std::size_t max_message() const noexcept;
  /// Writes a message that consists of all parts, one behind the other. @return false: no room now, or it never fits
  /// (larger than max_message()), or corrupt(); nothing was written
  [[nodiscard]] bool write(std::span<const bytes> parts) noexcept;
  /// Room for a message in one record, to be written in place, 8-byte aligned. Nothing can be seen before publish();
  /// asking again forgets the room given before. @return null: no room now, or it needs several records, or corrupt()
  [[nodiscard]] std::byte* reserve(std::size_t size) noexcept {
    if (size > out_.max_body()) return nullptr;
    reserved_ = size;
    return out_.reserve(size);
  }
  /// The message that reserve() gave room for can be seen.
  void publish() noexcept { out_.publish(reserved_, ring_marks::text); }
  [[nodiscard]] bool corrupt() const noexcept { return out_.corrupt(); }
  [[nodiscard]] std::uint64_t unread_bytes() noexcept { return out_.used(); }
  [[nodiscard]] std::size_t ring_bytes() const noexcept { return out_.ring_bytes(); }
  /// Where the next record goes, and its number.
  [[nodiscard]] std::uint64_t tail() const noexcept { return out_.tail(); }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return out_.sequence(); }

 private:
  [[nodiscard]] bool has_room(std::size_t total) noexcept;
  ring_producer out_;
  std::size_t reserved_ = 0;  // bytes of the record
};

/// One thread uses it.
class message_ring_consumer {
 public:
  message_ring_consumer() noexcept = default;
  /// @param data  the records @param line, position, sequence  as for ring_consumer
  message_ring_consumer(std::span<const std::byte> data, ring_line& line, std::uint64_t position,
                        std::uint64_t sequence) noexcept
      : data_(data), in_(data, line, position, sequence) {}

  /// The oldest message that is complete; the same until pop(). Null data: there is none, or so many records belong to
  /// no message that the next call goes on. A message in one record is a view of the ring; one in several was copied.
  /// Records that belong to no message, or to one larger than the ring, are dropped and counted, at most k_most_dropped
  /// times in one call.
  [[nodiscard]] bytes front();
  static constexpr int k_most_dropped = 64;
  /// The same, where it is in one record: nothing is copied or dropped. Null data: front() says what there is.
  [[nodiscard]] bytes front_of_one() noexcept {
    if (records_ != 0) return records_ == 1 ? front_ : bytes();
    const auto first = in_.front();
    if (!first || first.marks != ring_marks::text) return {};
    expect(first);
    awaited_ = k_nothing_awaited;
    records_ = 1;
    return front_ = first.body();
  }
  /// front() has given a message: its room is the writer's again, at once.
  void pop() noexcept {
    const auto records = std::exchange(records_, 0);
    if (records != 1) [[unlikely]]
      return drop(records);
    in_.pop();
    in_.publish_position();
  }

  /// The writer broke the rules of the ring. For good.
  [[nodiscard]] bool corrupt() const noexcept { return in_.corrupt(); }
  /// Records that belonged to no message since it was asked last: of a writer that died between two of them.
  [[nodiscard]] std::uint64_t take_torn() noexcept { return std::exchange(torn_, 0); }
  /// Whether there is something that front() has not seen, without taking notice of it: before sleeping. Of a message
  /// that is not whole: whether more of it came.
  [[nodiscard]] bool something() const noexcept {
    if (data_.empty() || in_.corrupt()) return false;
    return awaited_ == k_nothing_awaited ? in_.something() : more_came();
  }
  /// Tells the writer what is free. pop() does so itself, but for what front() passed over.
  void publish_position() noexcept { in_.publish_position(); }
  /// Where the next record is read, and its number: bytes and records ever taken.
  [[nodiscard]] std::uint64_t position() const noexcept { return in_.position(); }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return in_.sequence(); }
  /// Bytes of the ring that were not read, walked through.
  [[nodiscard]] std::uint64_t unread_bytes() const noexcept;
  [[nodiscard]] std::size_t ring_bytes() const noexcept { return data_.size(); }

 private:
  static constexpr std::uint64_t k_nothing_awaited = ~std::uint64_t{0};
  static constexpr std::size_t k_line = 64;

  // All lines of a record that has just come are with the other core: asked for together, they come together. The last
  // one is also that of the next record's word.
  static void expect(const ring_record& first) noexcept {
    constexpr std::size_t k_most = 8 * k_line;
    for (std::size_t at = k_line; at < std::min<std::size_t>(first.size, k_most); at += k_line)
      __builtin_prefetch(first.data + at);
    __builtin_prefetch(first.data + first.size);
  }
  [[nodiscard]] bool more_came() const noexcept;
  [[nodiscard]] bool gather(const ring_record& first, std::size_t whole);
  void drop(std::uint64_t records) noexcept;

  std::span<const std::byte> data_;
  ring_consumer in_;
  bytes front_;
  std::uint64_t records_ = 0;                  // of front_; 0: there is none
  std::uint64_t awaited_ = k_nothing_awaited;  // where the next record of a message goes that is not whole
  std::uint64_t torn_ = 0;
  std::vector<std::byte> gathered_;
};

}  // namespace ferry::ring
