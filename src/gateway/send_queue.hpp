#pragma once
/// Packets that wait for one peer, as the bytes that go to it. Empty it holds no memory.

#include <ferry/buffer_pool.hpp>
#include <ferry/bytes.hpp>

#include <algorithm>
#include <cstring>

#include "base/endian.hpp"
#include "codec/gateway_packet.hpp"

namespace ferry::gateway {

class send_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] bytes waiting() const noexcept { return {buffer_.data() + begin_, size()}; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  /// Of which not every byte was sent.
  [[nodiscard]] std::size_t packets() const noexcept { return packets_; }

  /// Bytes of the pool that it has.
  [[nodiscard]] std::size_t taken() const noexcept { return buffer_.capacity(); }

  /// @param data  that many whole packets @return false: the pool gives no room
  [[nodiscard]] bool append(buffer_pool& pool, bytes data, std::size_t packets) noexcept {
    if (buffer_.capacity() - end_ < data.size() && !make_room(pool, data.size())) return false;
    std::memcpy(buffer_.data() + end_, data.data(), data.size());
    end_ += data.size();
    packets_ += packets;
    return true;
  }
  /// The same for packets whose first bytes are on their way; the queue is empty.
  [[nodiscard]] bool append_rest(buffer_pool& pool, bytes data, std::size_t packets, std::size_t gone) noexcept {
    std::size_t end_of_first = 0;
    while (end_of_first <= gone) {
      const auto size = codec::gateway::k_length_bytes + load_le<std::uint32_t>(data.data() + end_of_first);
      if (end_of_first + size <= gone) --packets;
      end_of_first += size;
    }
    if (!append(pool, data.subspan(gone), packets)) return false;
    next_ = begin_ + (end_of_first - gone);
    return true;
  }
  /// The first `count` bytes were sent.
  void sent(std::size_t count) noexcept {
    const std::size_t to = begin_ + count;
    if (to == end_) return clear();
    if (next_ > begin_ && next_ <= to) --packets_;
    while (next_ < to) {
      next_ += codec::gateway::k_length_bytes + load_le<std::uint32_t>(buffer_.data() + next_);
      if (next_ <= to) --packets_;
    }
    begin_ = to;
  }
  void clear() noexcept {
    buffer_.reset();
    begin_ = end_ = next_ = packets_ = 0;
  }

 private:
  bool make_room(buffer_pool& pool, std::size_t more) noexcept {
    const std::size_t have = size();
    if (begin_ >= have && buffer_.capacity() >= have + more) {  // what is left moves to the front
      if (have != 0) std::memcpy(buffer_.data(), buffer_.data() + begin_, have);
    } else {
      auto larger = pool.acquire(std::max(have + more, 2 * have));
      if (!larger) return false;
      if (have != 0) std::memcpy(larger.data(), buffer_.data() + begin_, have);
      buffer_ = std::move(larger);
    }
    next_ -= begin_;
    begin_ = 0;
    end_ = have;
    return true;
  }

  pooled_buffer buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::size_t next_ = 0;  // where the first packet begins of which nothing was sent; the end, if there is none
  std::size_t packets_ = 0;
};

}  // namespace ferry::gateway
