#pragma once
/// The consumer of a native ring whose position is published only as far as its owner lets it, however far it has read:
/// what was read since may have to be read again. Source: docs/sessions.md.

#include <ferry/detail/ring_core.hpp>
#include <ferry/error.hpp>

#include <string>

#include "ring/stores.hpp"

namespace ferry::ring {

/// A place between two records.
struct ring_mark {
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;  ///< of the record that follows
};

/// What lies in a ring between a position and its end, where the number of one end is known.
/// @param sequence  at least the number of the record at `position`, by at most the records that the ring can hold.
/// Records tell 29 bits of their numbers: that it is not 2^29 away is known from elsewhere
[[nodiscard]] std::optional<ring_contents> scan_from(std::span<const std::byte> data, std::uint64_t position,
                                                     std::uint64_t sequence) noexcept;

/// One thread at a time. Does not move, as the reader inside knows where it is.
template <class Stores = direct_stores>
class held_consumer {
 public:
  held_consumer() noexcept = default;
  held_consumer(const held_consumer&) = delete;
  held_consumer& operator=(const held_consumer&) = delete;

  /// Reads on at record number `sequence`; what lies before it was read by somebody whose position was not published,
  /// and is skipped. Publishes the place it found.
  /// @param data, line  the ring, or a mapping of it in which only the line is writable; outlives this
  /// @return corrupt: the records break the rules, or number `sequence` cannot come next
  [[nodiscard]] result<void> attach(std::span<const std::byte> data, ring_line& line, std::uint64_t sequence) {
    detach();
    const std::uint64_t position = line.position.load(std::memory_order_acquire);
    const auto found = scan_from(data, position, sequence);
    if (!found || found->ended || found->sequence < sequence)
      return error(errc::corrupt, "the records behind position " + std::to_string(position) +
                                      " are damaged, or number " + std::to_string(sequence) + " cannot come next");
    data_ = data;
    go_back({position, found->sequence - found->records});
    while (reader_.sequence() != sequence && reader_.front()) reader_.pop();
    line_ = &line;
    published_ = position;
    share_ = data.size() / 8;
    publish(mark());
    return {};
  }
  /// There is nothing to read until the next attach(); mark() keeps its number.
  void detach() noexcept {
    const std::uint64_t next = sequence();
    data_ = k_nothing;
    line_ = nullptr;
    go_back({0, next});
  }
  [[nodiscard]] bool attached() const noexcept { return line_ != nullptr; }

  [[nodiscard]] ring_record front() noexcept { return reader_.front(); }
  void pop() noexcept { reader_.pop(); }
  /// Where nothing is attached: a record was read that lay elsewhere.
  void pop_elsewhere() noexcept { go_back({0, sequence() + 1}); }
  [[nodiscard]] bool something() const noexcept { return reader_.something(); }
  /// After a look in vain: asks for the line behind the one that is looked at. Most records go on there, and whoever
  /// asks for it only when the word has come waits for the other core once more.
  void look_ahead() const noexcept {
    __builtin_prefetch(data_.data() + ((reader_.position() + k_line) & (data_.size() - 1)));
  }
  void pause() noexcept {
    look_ahead();
    reader_.pause();
  }
  [[nodiscard]] ring_mark mark() const noexcept { return {reader_.position(), reader_.sequence()}; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return reader_.sequence(); }
  /// Reads again what was read since `before`, a mark() of this attachment; where nothing is attached, any number.
  void go_back(const ring_mark& before) noexcept {
    reader_ = ring_consumer(data_, unshared_, before.position, before.sequence);
  }

  /// What lies before `upto` may be overwritten. Nothing happens if that was said already, or nothing is attached.
  void publish(const ring_mark& upto) noexcept {
    if (line_ == nullptr || upto.position <= published_) return;
    Stores::word(line_->sequence, upto.sequence, std::memory_order_relaxed);
    Stores::word(line_->position, upto.position, std::memory_order_release);  // pairs with: ring_stager::look
    published_ = upto.position;
    producer_may_wait_ = true;
  }
  /// The same, once an eighth of the ring has come together.
  void publish_in_shares(const ring_mark& upto) noexcept {
    if (upto.position - published_ >= share_) [[unlikely]]
      publish(upto);
  }
  [[nodiscard]] std::uint64_t published() const noexcept { return published_; }
  /// A position was published since take_producer_waits() was asked.
  [[nodiscard]] bool published_lately() const noexcept { return producer_may_wait_; }
  /// As ring_consumer::take_producer_waits.
  [[nodiscard]] bool take_producer_waits() noexcept {
    producer_may_wait_ = false;
    if (line_ == nullptr) return false;
    std::uint64_t at = line_->wake_at.load(std::memory_order_relaxed);
    if (at == 0 || published_ < at) return false;
    return line_->wake_at.compare_exchange_strong(at, 0, std::memory_order_relaxed);
  }

  /// The producer broke the rules; its ring has no end either. For good.
  [[nodiscard]] bool corrupt() const noexcept { return reader_.corrupt() || reader_.ended(); }

 private:
  static constexpr std::uint64_t k_line = 64;  // bytes of a cache line
  alignas(8) static constexpr std::byte k_nothing[8]{};

  std::span<const std::byte> data_ = k_nothing;
  ring_consumer reader_;
  ring_line unshared_;         // where the reader publishes on its own account; nobody looks at it
  ring_line* line_ = nullptr;  // the ring's
  std::uint64_t published_ = 0;
  std::uint64_t share_ = ~std::uint64_t{0};
  bool producer_may_wait_ = false;
};

}  // namespace ferry::ring
