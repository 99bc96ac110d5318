#include "os/bus_guard.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <new>
#include <vector>

namespace ferry::os {

// What the handler reads; nothing here is ever freed.
struct bus_guard::place {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};  // stored last, read first: 0 while the place is not in use
  std::atomic<bool> torn{false};

  [[nodiscard]] bool holds(std::uintptr_t at) const noexcept {
    const auto last = end.load(std::memory_order_acquire);  // pairs with: bus_guard
    if (at >= last || at < begin.load(std::memory_order_acquire)) return false;
    // Else it was taken again in between, and the two do not belong together.
    return end.load(std::memory_order_relaxed) == last;
  }
};

namespace {

using place = bus_guard::place;

// Blocks of places, each twice as large as the one before, so that the handler can walk them without a lock.
constexpr std::size_t k_first_block = 1024;
std::array<std::atomic<place*>, 32> g_blocks;
struct sigaction g_before;

std::mutex g_mutex;  // of what follows
std::size_t g_blocks_made = 0;
std::vector<place*>& unused_places() {
  static auto* const places = new std::vector<place*>;  // guards may go after everything static
  return *places;
}

place* take_place() {
  const std::scoped_lock lock(g_mutex);
  auto& unused = unused_places();
  if (unused.empty()) {
    if (g_blocks_made == g_blocks.size()) throw std::bad_alloc();
    const std::size_t size = k_first_block << g_blocks_made;
    unused.reserve(2 * size);  // giving back never allocates
    auto* const block = new place[size];
    for (std::size_t i = size; i-- > 0;) unused.push_back(block + i);
    g_blocks[g_blocks_made++].store(block, std::memory_order_release);  // pairs with: on_bus_error
  }
  place* const one = unused.back();
  unused.pop_back();
  return one;
}

void give_back(place* one) noexcept {
  const std::scoped_lock lock(g_mutex);
  unused_places().push_back(one);
}

place* place_of(std::uintptr_t at) noexcept {
  for (std::size_t i = 0; i < g_blocks.size(); ++i) {
    place* const block = g_blocks[i].load(std::memory_order_acquire);  // pairs with: take_place
    if (block == nullptr) return nullptr;
    for (std::size_t k = 0; k < k_first_block << i; ++k)
      if (block[k].holds(at)) return block + k;
  }
  return nullptr;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (place* const one = place_of(at); one != nullptr) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    void* const missing = static_cast<std::byte*>(info->si_addr) - at % page;
    one->torn.store(true, std::memory_order_release);
    if (::mmap(missing, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
      return;
  }
  if ((g_before.sa_flags & SA_SIGINFO) != 0) return g_before.sa_sigaction(signal, info, context);
  if (g_before.sa_handler != SIG_DFL && g_before.sa_handler != SIG_IGN) return g_before.sa_handler(signal);
  // The instruction runs again, and ends the process as it would have without us.
  ::signal(SIGBUS, SIG_DFL);
}

bool install() {
  struct sigaction ours {};
  ours.sa_sigaction = on_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  return ::sigaction(SIGBUS, &ours, &g_before) == 0;
}

}  // namespace

bus_guard::bus_guard(std::span<std::byte> mapped) {
  static const bool installed = install();
  (void)installed;
  place_ = take_place();
  place_->torn.store(false, std::memory_order_relaxed);
  place_->begin.store(reinterpret_cast<std::uintptr_t>(mapped.data()), std::memory_order_release);
  place_->end.store(reinterpret_cast<std::uintptr_t>(mapped.data() + mapped.size()), std::memory_order_release);
}

bus_guard::~bus_guard() {
  place_->end.store(0, std::memory_order_release);
  give_back(place_);
}

bool bus_guard::torn() const noexcept { return place_->torn.load(std::memory_order_acquire); }

}  // namespace ferry::os
