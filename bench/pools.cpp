// ferry_bench_pools: buffers taken and given back, from each kind of pool beside malloc and free, by one thread and by
// several at once. Google Benchmark prints the machine. Every buffer is written to; one that is missing ends it.
#include <ferry/buffer_pool.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace {

using ferry::buffer_pool;
using ferry::buffer_pool_kind;

// As a gateway has them if nothing is said.
constexpr std::size_t k_slab_bytes = 1 << 20;
const ferry::buffer_pool_options k_sizes{.min_buffer = 64, .max_buffer = 64 * 1024, .growth = 2, .page_size = 64};

// What the pools are measured against.
struct malloc_pool {
  class buffer {
   public:
    buffer() = default;
    explicit buffer(std::size_t size) : memory_(std::malloc(size)) {}
    buffer(buffer&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}
    buffer& operator=(buffer&& other) noexcept {
      std::swap(memory_, other.memory_);
      return *this;
    }
    ~buffer() { std::free(memory_); }
    [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(memory_); }

   private:
    void* memory_ = nullptr;
  };
  [[nodiscard]] buffer acquire(std::size_t size) const noexcept { return buffer(size); }
};

template <buffer_pool_kind kind>
struct of_kind {
  of_kind() : it(kind, k_slab_bytes, k_sizes) {}
  [[nodiscard]] auto acquire(std::size_t size) noexcept { return it.acquire(size); }
  buffer_pool it;
};

// One for all threads of all runs, so that what they measure is a pool that has what they need.
template <class Pool>
Pool& shared_pool() {
  static Pool made;
  return made;
}

void write_to(std::byte* memory) {
  if (memory == nullptr) std::abort();
  *memory = std::byte{1};
  benchmark::DoNotOptimize(memory);
}

/// range(0) bytes, one buffer at a time: what a packet needs that goes on at once.
template <class Pool>
void one(benchmark::State& state) {
  auto& pool = shared_pool<Pool>();
  for (auto _ : state) write_to(pool.acquire(static_cast<std::size_t>(state.range(0))).data());
  state.SetItemsProcessed(state.iterations());
}

/// Sixteen are taken, then given back: packets that wait.
template <class Pool>
void sixteen(benchmark::State& state) {
  auto& pool = shared_pool<Pool>();
  std::array<decltype(pool.acquire(1)), 16> all;
  for (auto _ : state) {
    for (auto& each : all) {
      each = pool.acquire(static_cast<std::size_t>(state.range(0)));
      write_to(each.data());
    }
    for (auto& each : all) each = decltype(pool.acquire(1))();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(all.size()));
}

#define FERRY_POOL(name, pool)                                          \
  BENCHMARK_TEMPLATE(name, pool)->Arg(64)->Arg(2048)->Arg(65536);       \
  BENCHMARK_TEMPLATE(name, pool)->Arg(2048)->Threads(2)->UseRealTime(); \
  BENCHMARK_TEMPLATE(name, pool)->Arg(2048)->Threads(4)->UseRealTime()
#define FERRY_POOLS(name)                            \
  FERRY_POOL(name, malloc_pool);                     \
  FERRY_POOL(name, of_kind<buffer_pool_kind::atom>); \
  FERRY_POOL(name, of_kind<buffer_pool_kind::sync>); \
  FERRY_POOL(name, of_kind<buffer_pool_kind::chan>)

FERRY_POOLS(one);
FERRY_POOLS(sixteen);

}  // namespace

BENCHMARK_MAIN();
