#pragma once
/// Reused buffers of a few sizes. Includes no Boost.

#include <ferry/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace ferry {

struct buffer_pool_options {
  std::size_t min_buffer = 256;           ///< bytes of the smallest class; rounded up to a multiple of page_size
  std::size_t max_buffer = 1024 * 1024;   ///< bytes of the largest class; above: one exact allocation, never kept
  std::size_t growth = 4;                 ///< each class is this many times the one below; 2 .. 16
  std::size_t page_size = 256;            ///< classes are multiples of this; a power of two, 64 .. 64 KiB
  std::size_t max_bytes = 4096ull << 20;  ///< limit on all bytes lent and kept together; above: acquire gives nothing
  std::size_t max_kept = 64u << 20;       ///< limit on the bytes kept for reuse; above: returned buffers are freed
  std::size_t prefill_bytes = 0;          ///< bytes of each class that are allocated and touched at the start
};

/// How buffers that came back are kept. What is for what, with figures: docs/buffer-pools.md.
enum class buffer_pool_kind : std::uint8_t {
  atom,  ///< a lock-free stack for each size; the first of each size are cut from one slab of memory
  sync,  ///< the same, and above it a few buffers of each size for each thread: at most 64 KiB of a size, or one buffer
  chan,  ///< a bounded queue for each size; what finds it full is freed
};

struct buffer_pool_stats {
  std::uint64_t hits = 0;        ///< acquired from the pool
  std::uint64_t misses = 0;      ///< acquired as a buffer of a class size that nobody had
  std::uint64_t exact = 0;       ///< acquired above the largest class
  std::uint64_t refused = 0;     ///< not acquired, because of max_bytes
  std::uint64_t bytes_lent = 0;  ///< with callers now
  std::uint64_t bytes_kept = 0;  ///< waiting for reuse now
};

namespace detail {
class pool_core;
void return_to_pool(pool_core* pool, std::byte* data, std::size_t capacity) noexcept;
}  // namespace detail

/// A buffer on loan; returns itself. Movable; may outlive the pool and be returned on any thread.
class pooled_buffer {
 public:
  pooled_buffer() noexcept = default;
  pooled_buffer(detail::pool_core* pool, std::byte* data, std::size_t capacity) noexcept
      : pool_(pool), data_(data), capacity_(capacity) {}
  pooled_buffer(pooled_buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  pooled_buffer& operator=(pooled_buffer&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    other.reset();
    return *this;
  }
  ~pooled_buffer() { reset(); }

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }
  void reset() noexcept {
    if (data_ != nullptr)
      detail::return_to_pool(std::exchange(pool_, nullptr), std::exchange(data_, nullptr), capacity_);
    capacity_ = 0;
  }

 private:
  detail::pool_core* pool_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
};

/// Thread safety: every member may be called from any thread; no lock is taken, and nobody waits for anybody.
class buffer_pool {
 public:
  /// Of the kind `atom`, without slabs: each buffer is allocated by itself.
  explicit buffer_pool(const buffer_pool_options& options = {});
  /// @param slab_bytes  of memory for each size. atom, sync: taken at the start, used as it is needed, given back with
  /// the pool, and not counted in max_kept; 0, or less than a buffer takes: none. chan: what is kept at most, two
  /// buffers at least. Throws failure(bad_option) as the other one, and std::bad_alloc
  buffer_pool(buffer_pool_kind kind, std::size_t slab_bytes, const buffer_pool_options& options = {});
  ~buffer_pool();  ///< buffers still on loan stay valid; the last one returned frees the rest
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  /// A buffer of at least `size` bytes, uninitialised. Empty if the limit `max_bytes` or the system's memory is
  /// reached. Most recently returned first, so that it is warm; of the kind `chan` least recently. What other threads
  /// keep of the kind `sync` is out of reach.
  [[nodiscard]] pooled_buffer acquire(std::size_t size) noexcept;
  [[nodiscard]] buffer_pool_stats stats() const noexcept;

 private:
  detail::pool_core* core_;
};

}  // namespace ferry
