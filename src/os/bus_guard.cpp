#include "os/bus_guard.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <stdexcept>

namespace ferry::os {
namespace {

// What the handler reads; nothing here is ever freed.
struct guarded {
  std::atomic<bool> taken{false};
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};  // stored last, read first: 0 while the slot is not in use
  std::atomic<bool> torn{false};
};
std::array<guarded, 1024> g_guarded;
struct sigaction g_before;

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (auto& one : g_guarded) {
    const auto end = one.end.load(std::memory_order_acquire);  // pairs with: bus_guard
    const auto begin = one.begin.load(std::memory_order_relaxed);
    if (at < begin || at >= end) continue;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    void* const missing = static_cast<std::byte*>(info->si_addr) - at % page;
    one.torn.store(true, std::memory_order_release);
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

bus_guard::bus_guard(std::span<std::byte> mapped) : slot_(0) {
  static const bool installed = install();
  (void)installed;
  for (; slot_ < g_guarded.size(); ++slot_) {
    guarded& one = g_guarded[slot_];
    if (one.taken.exchange(true)) continue;
    one.torn = false;
    one.begin.store(reinterpret_cast<std::uintptr_t>(mapped.data()), std::memory_order_relaxed);
    one.end.store(reinterpret_cast<std::uintptr_t>(mapped.data() + mapped.size()), std::memory_order_release);
    return;
  }
  throw std::length_error("more than 1024 files are mapped");
}

bus_guard::~bus_guard() {
  guarded& one = g_guarded[slot_];
  one.end.store(0, std::memory_order_release);
  one.taken.store(false, std::memory_order_release);
}

bool bus_guard::torn() const noexcept { return g_guarded[slot_].torn.load(std::memory_order_acquire); }

}  // namespace ferry::os
