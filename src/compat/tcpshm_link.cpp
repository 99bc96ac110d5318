#include "compat/tcpshm_link.hpp"

#include "compat/tcpshm_queue_link.hpp"
#include "compat/tcpshm_session_link.hpp"

namespace ferry::compat::tcpshm {

std::unique_ptr<link> link::make(const settings& how, std::string remote_name) {
  switch (how.with.speaks) {
    case protocol::tcpshm: break;
    case protocol::ferry: return std::make_unique<session_link>(how, std::move(remote_name));
  }
  return std::make_unique<queue_link>(how, std::move(remote_name));
}

void link::close() {
  const auto now = state_.load(std::memory_order_acquire);
  if (now == state::live || now == state::joined) give_up({"closed by this side"});
}

void link::give_up(const ending& why) {
  if (over_.load(std::memory_order_relaxed)) return;
  why_ = why;
  over_.store(true, std::memory_order_release);  // pairs with: over
}

bool link::take_turn() {
  switch (state_.load(std::memory_order_acquire)) {
    case state::offline: rest(); return false;
    case state::joined:
    case state::prepared:
    case state::moving:  // leave() is called by who knows that it does
    case state::moved: return false;
    case state::preparing: prepare(); return false;
    case state::joining: join(); return false;
    case state::live:
      if (displaced_.load(std::memory_order_relaxed)) [[unlikely]]
        give_up({"the client has logged in again"});
      return !over_.load(std::memory_order_relaxed);
  }
  return false;
}

}  // namespace ferry::compat::tcpshm
