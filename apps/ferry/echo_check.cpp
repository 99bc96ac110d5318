#include "apps/ferry/echo_check.hpp"

#include <algorithm>
#include <new>

namespace ferry::app {

void echo_check::sent(const message_view& m) {
  sent_.push_back(message::copy_of(m, pool_));
  if (!sent_.back().ok()) throw std::bad_alloc();
  bytes_ += m.payload.size();
}

void echo_check::pop() {
  bytes_ -= sent_.front().size();
  sent_.pop_front();
}

std::optional<std::string> echo_check::received(const message_view& m) {
  const auto which = "echo " + std::to_string(equal_ + forgotten_ + 1);
  if (sent_.empty()) return which + " came, and nothing was sent that it could be the echo of";
  const auto wanted = sent_.front().payload();
  const auto [here, there] = std::mismatch(wanted.begin(), wanted.end(), m.payload.begin(), m.payload.end());
  if (here != wanted.end() || there != m.payload.end()) {
    return which + " is not what was sent: " + std::to_string(wanted.size()) + " bytes were sent and " +
           std::to_string(m.payload.size()) + " came back, the first difference is at byte " +
           std::to_string(here - wanted.begin());
  }
  pop();
  equal_ += 1;
  return {};
}

void echo_check::forget_all_but(std::uint64_t queued) {
  while (sent_.size() > queued) {
    pop();
    forgotten_ += 1;
  }
}

}  // namespace ferry::app
