#include <ferry/buffer_pool.hpp>
#include <ferry/errc.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/checked.hpp"
#include "base/size_class.hpp"
#include "base/thread_cache.hpp"

namespace ferry {
namespace {

[[noreturn]] void refuse(const std::string& text) { throw failure(errc::bad_option, 0, "buffer pool: " + text); }

std::vector<std::size_t> class_sizes(const buffer_pool_options& o) {
  if (!std::has_single_bit(o.page_size)) refuse("page_size " + std::to_string(o.page_size) + " is not a power of two");
  if (o.growth < 2 || o.growth > 16) refuse("growth " + std::to_string(o.growth) + " is not within 2 .. 16");
  if (o.min_buffer > o.max_buffer)
    refuse("min_buffer " + std::to_string(o.min_buffer) + " is above max_buffer " + std::to_string(o.max_buffer));
  const auto largest = round_up(std::max<std::size_t>(o.max_buffer, 1), o.page_size);
  if (!largest || !checked_add(*largest, k_pool_line))
    refuse("max_buffer " + std::to_string(o.max_buffer) + " does not fit into memory");
  std::vector<std::size_t> sizes;
  auto next = round_up(std::max<std::size_t>(o.min_buffer, 1), o.page_size);
  for (; next && *next < *largest; next = checked_mul(*next, o.growth)) sizes.push_back(*next);
  sizes.push_back(*largest);
  return sizes;
}

}  // namespace

namespace detail {

/// Owns the kept buffers. Alive while the pool, one of its buffers or a thread's cache is: every buffer, lent or kept,
/// holds a reference, so lending one that was kept changes no count.
class pool_core {
 public:
  pool_core(buffer_pool_kind kind, std::size_t slab_bytes, const buffer_pool_options& options)
      : max_bytes_(options.max_bytes), max_kept_(options.max_kept), is_cached_(kind == buffer_pool_kind::sync) {
    const auto sizes = class_sizes(options);
    const bool queued = kind == buffer_pool_kind::chan;
    classes_ = std::make_unique<size_class[]>(sizes.size());
    class_count_ = sizes.size();
    for (std::size_t i = 0; i < sizes.size(); ++i)
      classes_[i].make(sizes[i], queued ? std::max<std::size_t>(slab_bytes / sizes[i], 2) : 0, queued ? 0 : slab_bytes);
    for (std::size_t bits = 1; bits < first_for_.size(); ++bits)
      first_for_[bits] = static_cast<std::uint8_t>(
          std::lower_bound(sizes.begin(), sizes.end(), std::size_t{1} << (bits - 1)) - sizes.begin());
    for (std::size_t i = 0; i < sizes.size(); ++i) prefill(classes_[i], options.prefill_bytes / sizes[i]);
  }
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;

  pooled_buffer acquire(std::size_t size) noexcept {
    auto* const fitting = class_for(size);
    if (fitting == nullptr) return acquire_exact(size);
    auto* const mine = cache();
    if (mine != nullptr)
      if (auto* const data = mine->take(number_of(*fitting), fitting->size)) return {this, data, fitting->size};
    if (const auto index = fitting->pop(slots_); index != slot_stack::k_none)
      return {this, slots_[index].data, fitting->size};
    auto* data = make(*fitting);
    if (data == nullptr && mine != nullptr && mine->bytes() != 0) {  // what this thread keeps may make room
      flush(*mine);
      data = make(*fitting);
    }
    if (data == nullptr) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    return {this, data, fitting->size};
  }

  void take_back(std::byte* data, std::size_t capacity) noexcept {
    auto* const fitting = class_for(capacity);
    if (fitting == nullptr) {
      release_lines(data);
      forget(capacity);
      return;
    }
    if (auto* const mine = is_closed() ? nullptr : cache())
      return mine->put(number_of(*fitting), fitting->size, data, [&](std::byte* one) { give_back(*fitting, one); });
    give_back(*fitting, data);
  }

  /// The pool is gone: nothing is kept any more, and the last buffer that comes back ends the core. What other threads
  /// keep is freed when they end, or use another pool for the first time.
  void close() noexcept;

  [[nodiscard]] bool is_closed() const noexcept { return is_closed_.load(std::memory_order_relaxed); }

  /// For the calling thread, until it leaves; holds a reference. Null: there is no memory.
  [[nodiscard]] thread_cache* join() noexcept {
    auto* found = caches_.load(std::memory_order_acquire);  // pairs with: the exchange below
    while (found != nullptr && !found->claim()) found = found->next;
    if (found == nullptr) {
      found = new_cache();
      if (found == nullptr) return nullptr;
      found->next = caches_.load(std::memory_order_relaxed);
      while (!caches_.compare_exchange_weak(found->next, found, std::memory_order_release, std::memory_order_relaxed)) {
      }
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    return found;
  }
  void leave(thread_cache& mine) noexcept {
    flush(mine);
    mine.leave();
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
      now.hits += classes_[i].pops() - trimmed;
    }
    for (const auto* one = caches_.load(std::memory_order_acquire); one != nullptr; one = one->next)
      now.hits += one->hits();
    const auto held = held_.load(std::memory_order_relaxed);
    now.bytes_lent = held > now.bytes_kept ? held - now.bytes_kept : 0;
    return now;
  }

 private:
  // Only drop_reference() ends it.
  ~pool_core() {
    for (auto* one = caches_.load(std::memory_order_relaxed); one != nullptr;) delete std::exchange(one, one->next);
  }

  [[nodiscard]] size_class* class_for(std::size_t size) noexcept {
    for (std::size_t i = first_for_[static_cast<std::size_t>(std::bit_width(size))]; i < class_count_; ++i)
      if (size <= classes_[i].size) return &classes_[i];
    return nullptr;
  }
  [[nodiscard]] std::size_t number_of(const size_class& one) const noexcept {
    return static_cast<std::size_t>(&one - classes_.get());
  }

  /// The calling thread's; null: this kind has none, or the thread none (any more).
  [[nodiscard]] thread_cache* cache() noexcept { return is_cached_ ? cache_of_thread() : nullptr; }
  [[nodiscard]] thread_cache* cache_of_thread() noexcept;
  [[nodiscard]] thread_cache* new_cache() const noexcept {
    try {
      return new thread_cache(class_count_);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  void flush(thread_cache& mine) noexcept {
    mine.empty([this](std::size_t number, std::byte* data) { give_back(classes_[number], data); });
  }

  // The line before a class buffer holds the number of its slot, which it has for life.
  [[nodiscard]] static std::uint32_t slot_of(const std::byte* data) noexcept {
    std::uint32_t index;
    std::memcpy(&index, data - k_pool_line, sizeof index);
    return index;
  }

  [[nodiscard]] pooled_buffer acquire_exact(std::size_t size) noexcept {
    auto* data = reserve(size) ? allocate_lines(size) : nullptr;
    if (data == nullptr) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    exact_.fetch_add(1, std::memory_order_relaxed);
    return {this, data, size};
  }

  /// A buffer of a class that nobody had, or null.
  [[nodiscard]] std::byte* make(size_class& fitting) noexcept {
    if (!reserve(fitting.size)) return nullptr;
    auto index = free_slots_.pop(slots_);
    if (index == slot_stack::k_none) index = slots_.add();
    auto* memory = index == slot_table::k_max_slots ? nullptr : fitting.cut();
    if (memory == nullptr && index != slot_table::k_max_slots) memory = allocate_lines(k_pool_line + fitting.size);
    if (memory == nullptr) {
      if (index != slot_table::k_max_slots) static_cast<void>(free_slots_.push(slots_, index));
      held_.fetch_sub(fitting.size, std::memory_order_relaxed);
      return nullptr;
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    std::memcpy(memory, &index, sizeof index);
    slots_[index].data = memory + k_pool_line;
    return memory + k_pool_line;
  }

  /// Keeps it, if it may be kept.
  void give_back(size_class& fitting, std::byte* data) noexcept {
    const bool keep = fitting.is_of_slab(data) || may_keep(fitting.size);
    if (!keep || !fitting.push(slots_, slot_of(data))) destroy(fitting, data);
  }

  void destroy(size_class& fitting, std::byte* data) noexcept {
    if (!fitting.is_of_slab(data)) {
      const auto index = slot_of(data);
      release_lines(data - k_pool_line);
      static_cast<void>(free_slots_.push(slots_, index));
    }
    forget(fitting.size);
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
      const auto index = classes_[i].pop_loose(slots_);
      if (index == slot_stack::k_none) continue;
      classes_[i].trimmed.fetch_add(1, std::memory_order_release);  // pairs with: stats
      destroy(classes_[i], slots_[index].data);
      return true;
    }
    return false;
  }

  [[nodiscard]] std::uint64_t loose_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < class_count_; ++i) sum += classes_[i].loose_bytes(slots_);
    return sum;
  }
  [[nodiscard]] std::uint64_t kept_bytes() const noexcept {
    std::uint64_t sum = loose_bytes();
    for (std::size_t i = 0; i < class_count_; ++i) sum += classes_[i].slab_bytes(slots_);
    for (const auto* one = caches_.load(std::memory_order_acquire); one != nullptr; one = one->next)
      sum += one->bytes();
    return sum;
  }

  // What is held in all bounds what is kept, and is cheap to read. Threads that return at the same instant may
  // together pass the limit, by one buffer each.
  [[nodiscard]] bool may_keep(std::size_t capacity) const noexcept {
    return held_.load(std::memory_order_relaxed) <= max_kept_ || loose_bytes() + capacity <= max_kept_;
  }

  void prefill(size_class& fitting, std::size_t count) noexcept {
    for (; count > 0 && kept_bytes() + fitting.size <= max_kept_; --count) {
      auto* data = held_.load(std::memory_order_relaxed) + fitting.size <= max_bytes_ ? make(fitting) : nullptr;
      if (data == nullptr) return;
      std::memset(data, 0, fitting.size);
      static_cast<void>(fitting.push(slots_, slot_of(data)));
    }
  }

  const std::size_t max_bytes_;
  const std::size_t max_kept_;
  const bool is_cached_;
  std::unique_ptr<size_class[]> classes_;
  std::size_t class_count_ = 0;
  // By the number of bits of a size: classes below this one are too small. There are at most 64 classes.
  std::array<std::uint8_t, std::numeric_limits<std::size_t>::digits + 1> first_for_{};
  slot_table slots_;
  slot_stack free_slots_;
  std::atomic<std::uint64_t> references_{1};  // the pool's own, and one for each buffer that exists
  std::atomic<std::size_t> held_{0};          // bytes lent and kept
  std::atomic<thread_cache*> caches_{nullptr};
  std::atomic<bool> is_closed_{false};
  std::atomic<std::uint64_t> misses_{0};
  std::atomic<std::uint64_t> exact_{0};
  std::atomic<std::uint64_t> refused_{0};
};

namespace {

// Which cache the calling thread has of which pool. A thread that uses more pools than this has room for does without.
class caches_of_thread {
 public:
  ~caches_of_thread();
  [[nodiscard]] thread_cache* of(pool_core& pool) noexcept {
    for (std::size_t i = 0; i < count_; ++i)
      if (all_[i].pool == &pool) return all_[i].cache;
    return add(pool);
  }
  void leave(const pool_core& pool) noexcept {
    leave_if([&](const pool_core& one) { return &one == &pool; });
  }

 private:
  struct entry {
    pool_core* pool;
    thread_cache* cache;
  };
  thread_cache* add(pool_core& pool) noexcept {
    leave_if([](const pool_core& one) { return one.is_closed(); });
    if (count_ == all_.size() || pool.is_closed()) return nullptr;
    auto* const made = pool.join();
    if (made != nullptr) all_[count_++] = {&pool, made};
    return made;
  }
  template <class Which>
  void leave_if(const Which& which) noexcept {
    for (std::size_t i = count_; i-- > 0;) {
      if (!which(*all_[i].pool)) continue;
      const auto gone = std::exchange(all_[i], all_[--count_]);
      gone.pool->leave(*gone.cache);
    }
  }
  std::array<entry, 8> all_{};
  std::size_t count_ = 0;
};

// Other objects of a thread may return buffers after its caches have gone.
constinit thread_local bool thread_ends = false;
thread_local caches_of_thread of_this_thread;

caches_of_thread::~caches_of_thread() {
  thread_ends = true;
  leave_if([](const pool_core&) { return true; });
}

}  // namespace

thread_cache* pool_core::cache_of_thread() noexcept { return thread_ends ? nullptr : of_this_thread.of(*this); }

void pool_core::close() noexcept {
  is_closed_.store(true, std::memory_order_relaxed);
  if (is_cached_ && !thread_ends) of_this_thread.leave(*this);
  for (std::size_t i = 0; i < class_count_; ++i)
    classes_[i].close(slots_, [&](std::uint32_t index) { destroy(classes_[i], slots_[index].data); });
  drop_reference();
}

void return_to_pool(pool_core* pool, std::byte* data, std::size_t capacity) noexcept {
  pool->take_back(data, capacity);
}

}  // namespace detail

buffer_pool::buffer_pool(const buffer_pool_options& options) : buffer_pool(buffer_pool_kind::atom, 0, options) {}
buffer_pool::buffer_pool(buffer_pool_kind kind, std::size_t slab_bytes, const buffer_pool_options& options)
    : core_(new detail::pool_core(kind, slab_bytes, options)) {}
buffer_pool::~buffer_pool() { core_->close(); }
pooled_buffer buffer_pool::acquire(std::size_t size) noexcept { return core_->acquire(size); }
buffer_pool_stats buffer_pool::stats() const noexcept { return core_->stats(); }

}  // namespace ferry
