#include <ferry/buffer_pool.hpp>
#include <ferry/errc.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/checked.hpp"
#include "base/slot_stack.hpp"

namespace ferry {
namespace {

constexpr std::size_t k_line = 64;  // alignment of every buffer; the header before a class buffer takes one line

std::byte* allocate(std::size_t size) noexcept {
  return static_cast<std::byte*>(::operator new (size, std::align_val_t{k_line}, std::nothrow));
}
void release(std::byte* memory) noexcept { ::operator delete (memory, std::align_val_t{k_line}); }

[[noreturn]] void refuse(const std::string& text) { throw failure(errc::bad_option, 0, "buffer pool: " + text); }

std::vector<std::size_t> class_sizes(const buffer_pool_options& o) {
  if (!std::has_single_bit(o.page_size)) refuse("page_size " + std::to_string(o.page_size) + " is not a power of two");
  if (o.growth < 2 || o.growth > 16) refuse("growth " + std::to_string(o.growth) + " is not within 2 .. 16");
  if (o.min_buffer > o.max_buffer)
    refuse("min_buffer " + std::to_string(o.min_buffer) + " is above max_buffer " + std::to_string(o.max_buffer));
  const auto largest = round_up(std::max<std::size_t>(o.max_buffer, 1), o.page_size);
  if (!largest || !checked_add(*largest, k_line))
    refuse("max_buffer " + std::to_string(o.max_buffer) + " does not fit into memory");
  std::vector<std::size_t> sizes;
  auto next = round_up(std::max<std::size_t>(o.min_buffer, 1), o.page_size);
  for (; next && *next < *largest; next = checked_mul(*next, o.growth)) sizes.push_back(*next);
  sizes.push_back(*largest);
  return sizes;
}

}  // namespace

namespace detail {

/// Owns the kept buffers. Alive while the pool or one of its buffers is: every buffer, lent or kept, holds a reference,
/// so lending one that was kept changes no count.
class pool_core {
 public:
  explicit pool_core(const buffer_pool_options& options) : max_bytes_(options.max_bytes), max_kept_(options.max_kept) {
    const auto sizes = class_sizes(options);
    classes_ = std::make_unique<size_class[]>(sizes.size());
    class_count_ = sizes.size();
    for (std::size_t i = 0; i < sizes.size(); ++i) classes_[i].size = sizes[i];
    for (std::size_t i = 0; i < sizes.size(); ++i) prefill(classes_[i], options.prefill_bytes / sizes[i]);
  }
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;

  pooled_buffer acquire(std::size_t size) noexcept {
    auto* fitting = class_for(size);
    if (fitting == nullptr) return acquire_exact(size);
    if (const auto index = fitting->kept.pop(slots_); index != slot_stack::k_none)
      return {this, slots_[index].data, fitting->size};
    auto* data = make(*fitting);
    if (data == nullptr) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    return {this, data, fitting->size};
  }

  void take_back(std::byte* data, std::size_t capacity) noexcept {
    auto* fitting = class_for(capacity);
    if (fitting == nullptr) {
      release(data);
      forget(capacity);
      return;
    }
    if (!may_keep(capacity) || !fitting->kept.push(slots_, slot_of(data))) destroy(data, capacity);
  }

  /// The pool is gone: nothing is kept any more, and the last buffer that comes back ends the core.
  void close() noexcept {
    for (std::size_t i = 0; i < class_count_; ++i) {
      for (auto index = classes_[i].kept.close(); index != slot_stack::k_none;) {
        const auto next = slots_[index].next.load(std::memory_order_relaxed);
        destroy(slots_[index].data, classes_[i].size);
        index = next;
      }
    }
    drop_reference();
  }

  [[nodiscard]] buffer_pool_stats stats() const noexcept {
    buffer_pool_stats now;
    now.misses = misses_.load(std::memory_order_relaxed);
    now.exact = exact_.load(std::memory_order_relaxed);
    now.refused = refused_.load(std::memory_order_relaxed);
    now.bytes_kept = kept_bytes();
    for (std::size_t i = 0; i < class_count_; ++i) {
      const auto trimmed = classes_[i].trimmed.load(std::memory_order_acquire);  // pairs with: trim; never above pops
      now.hits += classes_[i].kept.pops() - trimmed;
    }
    const auto held = held_.load(std::memory_order_relaxed);
    now.bytes_lent = held > now.bytes_kept ? held - now.bytes_kept : 0;
    return now;
  }

 private:
  struct alignas(k_line) size_class {
    std::size_t size = 0;
    slot_stack kept;
    std::atomic<std::uint64_t> trimmed{0};  // popped to be freed, not to be lent
  };

  ~pool_core() = default;  // only drop_reference() ends it

  [[nodiscard]] size_class* class_for(std::size_t size) noexcept {
    for (std::size_t i = 0; i < class_count_; ++i)
      if (size <= classes_[i].size) return &classes_[i];
    return nullptr;
  }

  // The line before a class buffer holds the number of its slot, which it has for life.
  [[nodiscard]] static std::uint32_t slot_of(const std::byte* data) noexcept {
    std::uint32_t index;
    std::memcpy(&index, data - k_line, sizeof index);
    return index;
  }

  [[nodiscard]] pooled_buffer acquire_exact(std::size_t size) noexcept {
    auto* data = reserve(size) ? allocate(size) : nullptr;
    if (data == nullptr) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    exact_.fetch_add(1, std::memory_order_relaxed);
    return {this, data, size};
  }

  /// A fresh buffer of a class, or null.
  [[nodiscard]] std::byte* make(size_class& fitting) noexcept {
    if (!reserve(fitting.size)) return nullptr;
    auto index = free_slots_.pop(slots_);
    if (index == slot_stack::k_none) index = slots_.add();
    auto* memory = index == slot_table::k_max_slots ? nullptr : allocate(k_line + fitting.size);
    if (memory == nullptr) {
      if (index != slot_table::k_max_slots) static_cast<void>(free_slots_.push(slots_, index));
      held_.fetch_sub(fitting.size, std::memory_order_relaxed);
      return nullptr;
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    std::memcpy(memory, &index, sizeof index);
    slots_[index].data = memory + k_line;
    return memory + k_line;
  }

  void destroy(std::byte* data, std::size_t capacity) noexcept {
    const auto index = slot_of(data);
    release(data - k_line);
    static_cast<void>(free_slots_.push(slots_, index));
    forget(capacity);
  }

  void forget(std::size_t capacity) noexcept {
    held_.fetch_sub(capacity, std::memory_order_relaxed);
    drop_reference();
  }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;  // pairs with: itself in other threads
  }

  /// Counts `size` bytes more, if need be after freeing kept buffers. False: max_bytes would be passed.
  [[nodiscard]] bool reserve(std::size_t size) noexcept {
    for (;;) {
      auto held = held_.load(std::memory_order_relaxed);
      while (size <= max_bytes_ && held <= max_bytes_ - size)
        if (held_.compare_exchange_weak(held, held + size, std::memory_order_relaxed)) return true;
      if (size > max_bytes_ || !trim()) return false;
    }
  }

  /// Frees one kept buffer, a large one first. False: none is kept.
  [[nodiscard]] bool trim() noexcept {
    for (auto i = class_count_; i-- > 0;) {
      const auto index = classes_[i].kept.pop(slots_);
      if (index == slot_stack::k_none) continue;
      classes_[i].trimmed.fetch_add(1, std::memory_order_release);  // pairs with: stats
      destroy(slots_[index].data, classes_[i].size);
      return true;
    }
    return false;
  }

  [[nodiscard]] std::uint64_t kept_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < class_count_; ++i) sum += classes_[i].kept.depth(slots_) * classes_[i].size;
    return sum;
  }

  // What is held in all bounds what is kept, and is cheap to read. Threads that return at the same instant may
  // together pass the limit, by one buffer each.
  [[nodiscard]] bool may_keep(std::size_t capacity) const noexcept {
    return held_.load(std::memory_order_relaxed) <= max_kept_ || kept_bytes() + capacity <= max_kept_;
  }

  void prefill(size_class& fitting, std::size_t count) noexcept {
    for (; count > 0 && kept_bytes() + fitting.size <= max_kept_; --count) {
      auto* data = held_.load(std::memory_order_relaxed) + fitting.size <= max_bytes_ ? make(fitting) : nullptr;
      if (data == nullptr) return;
      std::memset(data, 0, fitting.size);
      static_cast<void>(fitting.kept.push(slots_, slot_of(data)));
    }
  }

  const std::size_t max_bytes_;
  const std::size_t max_kept_;
  std::unique_ptr<size_class[]> classes_;
  std::size_t class_count_ = 0;
  slot_table slots_;
  slot_stack free_slots_;
  std::atomic<std::uint64_t> references_{1};  // the pool's own, and one for each buffer that exists
  std::atomic<std::size_t> held_{0};          // bytes lent and kept
  std::atomic<std::uint64_t> misses_{0};
  std::atomic<std::uint64_t> exact_{0};
  std::atomic<std::uint64_t> refused_{0};
};

void return_to_pool(pool_core* pool, std::byte* data, std::size_t capacity) noexcept {
  pool->take_back(data, capacity);
}

}  // namespace detail

buffer_pool::buffer_pool(const buffer_pool_options& options) : core_(new detail::pool_core(options)) {}
buffer_pool::~buffer_pool() { core_->close(); }
pooled_buffer buffer_pool::acquire(std::size_t size) noexcept { return core_->acquire(size); }
buffer_pool_stats buffer_pool::stats() const noexcept { return core_->stats(); }

}  // namespace ferry
