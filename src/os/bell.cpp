#include "os/bell.hpp"

#include "os/futex.hpp"

namespace ferry::os {

void bell::wait(std::chrono::nanoseconds within) noexcept {
  futex_wait(*word_, static_cast<std::uint32_t>(ring::sleeping::on_futex), within);
}

// The word is changed before anybody is woken: who is about to wait on it then does not.
bool bell::wake() noexcept {
  const auto slept = static_cast<ring::sleeping>(word_->exchange(0, std::memory_order_relaxed));
  if (slept == ring::sleeping::on_futex) futex_wake(*word_);
  return slept == ring::sleeping::on_socket;
}

}  // namespace ferry::os
