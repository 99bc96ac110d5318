#pragma once
/// A plain ring with a separate write index, as queues between two processes usually are: what the native ring is
/// measured against. A record is a header word with the size of the body, and the body, padded to 8 bytes; it never
/// wraps. The producer keeps a copy of the read index, the consumer looks at the write index before every record.
/// One producer, one consumer; both trust each other.

#include <ferry/bytes.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ferry::bench {

/// The indices, each on lines of its own; bytes ever written and read.
struct plain_indices {
  alignas(128) std::atomic<std::uint64_t> written{0};
  alignas(128) std::atomic<std::uint64_t> read{0};
};

class plain_producer {
 public:
  /// @param data a power of two bytes, 8-byte aligned; used by nothing else
  plain_producer(std::span<std::byte> data, plain_indices& shared) noexcept
      : data_(data.data()), mask_(data.size() - 1), shared_(shared) {}

  /// @param body at most a quarter of the ring and 16 bytes   @return false: no room now
  [[nodiscard]] bool try_push(bytes body) noexcept {
    const std::uint64_t record = (body.size() + 15) & ~std::uint64_t{7};
    const std::uint64_t offset = at_ & mask_;
    const std::uint64_t pad = offset + record > mask_ + 1 ? mask_ + 1 - offset : 0;
    if (at_ + pad + record - read_ > mask_ + 1) {
      read_ = shared_.read.load(std::memory_order_acquire);  // pairs with: plain_consumer::pop
      if (at_ + pad + record - read_ > mask_ + 1) return false;
    }
    if (pad != 0) {
      put(at_, k_to_start);
      at_ += pad;
    }
    put(at_, body.size());
    std::memcpy(data_ + (at_ & mask_) + 8, body.data(), body.size());
    at_ += record;
    shared_.written.store(at_, std::memory_order_release);  // pairs with: plain_consumer::front
    return true;
  }

  static constexpr std::uint64_t k_to_start = ~std::uint64_t{0};

 private:
  void put(std::uint64_t position, std::uint64_t word) noexcept {
    std::memcpy(data_ + (position & mask_), &word, sizeof word);
  }

  std::byte* data_;
  std::uint64_t mask_;
  plain_indices& shared_;
  std::uint64_t at_ = 0;
  std::uint64_t read_ = 0;
};

class plain_consumer {
 public:
  plain_consumer(std::span<const std::byte> data, plain_indices& shared) noexcept
      : data_(data.data()), mask_(data.size() - 1), shared_(shared) {}

  /// The oldest body, or one without data.
  [[nodiscard]] bytes front() noexcept {
    if (shared_.written.load(std::memory_order_acquire) == at_) return {};  // pairs with: plain_producer::try_push
    std::uint64_t word = get();
    if (word == plain_producer::k_to_start) {
      at_ += mask_ + 1 - (at_ & mask_);
      word = get();
    }
    return {data_ + (at_ & mask_) + 8, word};
  }
  void pop() noexcept {
    at_ += (get() + 15) & ~std::uint64_t{7};
    shared_.read.store(at_, std::memory_order_release);  // pairs with: plain_producer::try_push
  }

 private:
  [[nodiscard]] std::uint64_t get() const noexcept {
    std::uint64_t word;
    std::memcpy(&word, data_ + (at_ & mask_), sizeof word);
    return word;
  }

  const std::byte* data_;
  std::uint64_t mask_;
  plain_indices& shared_;
  std::uint64_t at_ = 0;
};

}  // namespace ferry::bench
