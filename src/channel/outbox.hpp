#pragma once
/// What waits to be sent: whole frames, encoded once, in buffers from the pool. What a lost connection had not taken
/// wholly is sent again, whole, on the next one.

#include <ferry/buffer_pool.hpp>
#include <ferry/detail/taken.hpp>
#include <ferry/message.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "codec/framing.hpp"
#include "net/turn_buffers.hpp"

namespace ferry {

template <codec::framing F>
class outbox {
 public:
  /// @param batch_bytes  size of the largest buffer that messages share; larger messages get one of their own
  /// @param turn         where a buffer may wait for who needs one next, if it is used on that thread alone
  outbox(buffer_pool& pool, std::size_t batch_bytes, net::turn_buffers* turn = nullptr) noexcept
      : pool_(&pool), turn_(turn), batch_bytes_(batch_bytes) {}

  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  [[nodiscard]] std::size_t byte_count() const noexcept { return bytes_; }
  /// Messages of which not every byte has been taken.
  [[nodiscard]] std::size_t messages() noexcept {
    if (!chunks_.empty()) count_taken(chunks_[head_]);
    return messages_;
  }
  /// The same or more; costs nothing.
  [[nodiscard]] std::size_t messages_at_most() const noexcept { return messages_; }

  /// Copies a message in. @return false: no memory; nothing has changed.
  [[nodiscard]] bool append(const message_view& m) {
    if (chunks_.empty() || chunks_.back().room() < F::k_max_header + m.payload.size())
      if (!add_chunk(F::k_max_header + m.payload.size())) return false;
    chunk& last = chunks_.back();
    std::byte* const at = last.data() + last.end;
    const std::size_t header = F::encode_header(at, m);
    if (!m.payload.empty()) std::memcpy(at + header, m.payload.data(), m.payload.size());
    const std::size_t size = header + m.payload.size();
    last.end += size;
    last.messages += 1;
    bytes_ += size;
    messages_ += 1;
    return true;
  }

  /// The next bytes to send, at most into.size() pieces. @return how many pieces
  [[nodiscard]] std::size_t gather(std::span<bytes> into) const noexcept {
    std::size_t used = 0;
    for (std::size_t i = head_; i < chunks_.size() && used < into.size(); ++i)
      into[used++] = {chunks_[i].data() + chunks_[i].begin, chunks_[i].end - chunks_[i].begin};
    return used;
  }

  /// The connection took the first `n` bytes.
  void consume(std::size_t n) noexcept {
    bytes_ -= n;
    connection_.bytes += n;
    while (n != 0) {
      chunk& first = chunks_[head_];
      const std::size_t part = std::min(n, first.end - first.begin);
      first.begin += part;
      n -= part;
      if (first.begin == first.end) drop_first();
    }
  }

  /// What this connection has taken so far.
  [[nodiscard]] taken on_this_connection() noexcept {
    if (!chunks_.empty()) count_taken(chunks_[head_]);
    return connection_;
  }

  /// The same without looking where the messages end: bytes are exact, messages may be fewer than were taken.
  [[nodiscard]] const taken& on_this_connection_at_least() const noexcept { return connection_; }
  /// For counting messages that this connection took past the queue. Lives as long as the outbox.
  [[nodiscard]] taken& on_this_connection_directly() noexcept { return connection_; }

  /// Whether the connection has taken a part of a frame.
  [[nodiscard]] bool inside_a_frame() noexcept {
    if (chunks_.empty()) return false;
    count_taken(chunks_[head_]);
    return chunks_[head_].begin != chunks_[head_].walked;
  }

  /// The connection is gone: its share is counted, and a frame it took in part is whole again.
  /// @return what it took; `cut` tells whether a frame was cut
  taken rewind(bool& cut) noexcept {
    cut = false;
    if (!chunks_.empty()) {
      chunk& first = chunks_[head_];
      count_taken(first);
      cut = first.begin != first.walked;
      bytes_ += first.begin - first.walked;
      connection_.bytes -= first.begin - first.walked;
      first.begin = first.walked;
    }
    settle();
    return std::exchange(connection_, {});
  }

  /// The first frame, of which a part has been taken; not empty().
  [[nodiscard]] bytes first_frame_whole() noexcept {
    count_taken(chunks_[head_]);
    const chunk& first = chunks_[head_];
    return {first.data() + first.walked, F::frame_size({first.data() + first.walked, first.end - first.walked})};
  }

  /// The first frame; not empty(). Valid after rewind().
  [[nodiscard]] bytes first_frame() const noexcept {
    const chunk& first = chunks_[head_];
    return {first.data() + first.begin, F::frame_size({first.data() + first.begin, first.end - first.begin})};
  }
  /// Gives the first frame up, after rewind().
  void drop_first_frame() noexcept {
    const auto before = connection_;
    consume(first_frame().size());
    if (!chunks_.empty()) count_taken(chunks_[head_]);
    connection_ = before;
    settle();
  }

  /// Takes over everything that `other` holds, behind what is here.
  void splice(outbox& other) {
    if (!other.empty()) settle();
    chunks_.insert(chunks_.end(),
                   std::make_move_iterator(other.chunks_.begin() + static_cast<std::ptrdiff_t>(other.head_)),
                   std::make_move_iterator(other.chunks_.end()));
    bytes_ += std::exchange(other.bytes_, 0);
    messages_ += std::exchange(other.messages_, 0);
    other.chunks_.clear();
    other.head_ = 0;
  }

  void clear() noexcept {
    chunks_.clear();
    head_ = bytes_ = messages_ = 0;
  }

  /// An empty one keeps the buffer that it used last, for what follows; here it is given back.
  void settle() noexcept {
    if (!empty() || chunks_.empty()) return;
    if (turn_ != nullptr) turn_->give(*pool_, std::move(chunks_.back().buffer));
    clear();
  }

 private:
  static constexpr std::size_t k_first = 4096;  // bytes of the first buffer

  struct chunk {
    pooled_buffer buffer;
    std::size_t begin = 0;     // first byte not taken
    std::size_t end = 0;       // behind the last frame
    std::size_t walked = 0;    // the last frame boundary at or before `begin` that has been counted
    std::size_t messages = 0;  // frames between `walked` and `end`
    [[nodiscard]] std::byte* data() const noexcept { return buffer.data(); }
    [[nodiscard]] std::size_t room() const noexcept { return buffer.capacity() - end; }
  };

  // Small first, so that a channel with one short message holds little; then larger while data flows.
  bool add_chunk(std::size_t needed) {
    const std::size_t grown = chunks_.empty() ? k_first : std::min(batch_bytes_, 4 * chunks_.back().buffer.capacity());
    const std::size_t size = std::max(needed, grown);
    chunk fresh{turn_ != nullptr ? turn_->acquire(*pool_, size) : pool_->acquire(size)};
    if (!fresh.buffer) return false;
    settle();
    chunks_.push_back(std::move(fresh));
    return true;
  }

  void drop_first() noexcept {
    chunk& first = chunks_[head_];
    messages_ -= first.messages;
    connection_.messages += first.messages;
    if (head_ + 1 == chunks_.size()) {
      if (first.buffer.capacity() > std::max(batch_bytes_, k_first)) return clear();
      if (head_ != 0) chunks_.front().buffer = std::move(first.buffer);
      chunks_.resize(1);
      head_ = 0;
      chunk& last = chunks_.front();
      last.begin = last.end = last.walked = last.messages = 0;
      return;
    }
    first = chunk{};
    if (++head_ >= 32) {
      chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
  }

  void count_taken(chunk& c) noexcept {
    while (c.walked < c.begin) {
      const std::size_t size = F::frame_size({c.data() + c.walked, c.end - c.walked});
      if (c.walked + size > c.begin) return;
      c.walked += size;
      c.messages -= 1;
      messages_ -= 1;
      connection_.messages += 1;
    }
  }

  buffer_pool* pool_;
  net::turn_buffers* turn_;
  std::size_t batch_bytes_;
  std::vector<chunk> chunks_;  // from head_ on; the ones before are empty
  std::size_t head_ = 0;
  std::size_t bytes_ = 0;
  std::size_t messages_ = 0;  // counts frames taken since the last walk too
  taken connection_;
};

}  // namespace ferry
