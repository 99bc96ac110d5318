#include "channel/session_book.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "channel/session_channel.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

void session_book::join(loop& one) {
  const std::lock_guard guard(lock_);
  loops_.insert(&one);
}

void session_book::leave(loop& one) noexcept {
  const std::lock_guard guard(lock_);
  loops_.erase(&one);
  std::erase_if(open_, [&one](const auto& each) { return each.second.at == &one; });
}

// A loop leaves before it is gone, so under the lock it can be posted to.
void session_book::post(loop* to, std::function<void()> what) {
  const std::lock_guard guard(lock_);
  if (loops_.count(to) != 0) asio::post(*to, std::move(what));
}

std::shared_ptr<session_channel> session_book::find(const std::string& whose, const loop& here) {
  const std::lock_guard guard(lock_);
  const auto found = open_.find(whose);
  if (found == open_.end() || found->second.at != &here) return nullptr;
  auto one = found->second.one.lock();
  if (one && !one->gone()) return one;
  open_.erase(found);
  return nullptr;
}

bool session_book::ask_elsewhere(const std::string& whose, const loop& here, question what) {
  const std::lock_guard guard(lock_);
  const auto found = open_.find(whose);
  if (found == open_.end() || found->second.at == &here || found->second.one.expired()) return false;
  // Only its own thread may be the last one to hold it.
  asio::post(*found->second.at, [one = found->second.one, what = std::move(what)] { what(one.lock()); });
  return true;
}

void session_book::keep(const std::string& whose, loop& here, const std::shared_ptr<session_channel>& one) {
  const std::lock_guard guard(lock_);
  if (open_.size() > 2 * last_size_ + 64) forget_those_that_are_gone();
  open_[whose] = {&here, one};
}

void session_book::forget_those_that_are_gone() {
  std::erase_if(open_, [](const auto& each) { return each.second.one.expired(); });
  last_size_ = open_.size();
}

}  // namespace ferry::detail
