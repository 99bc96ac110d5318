#include "net/timers.hpp"

#include <exception>

namespace ferry::net {

// Whatever a call throws, the others are called in another turn.
struct timers::rest {
  timers& of;
  ~rest() {
    try {
      of.wait();
    } catch (const std::exception&) {  // no memory: they wait until another timer is set
    }
  }
};

void timers::place(std::size_t at, entry& one) noexcept {
  while (at != 0 && one.when_ < heap_[(at - 1) / 2]->when_) {
    put(at, *heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
    if (child + 1 < heap_.size() && heap_[child + 1]->when_ < heap_[child]->when_) ++child;
    if (one.when_ <= heap_[child]->when_) break;
    put(at, *heap_[child]);
    at = child;
  }
  put(at, one);
}

constexpr time_point k_shut = time_point::min();  // as waits_until_: the io_context goes, and calls nobody any more

void timers::add(entry& one, time_point when) {
  if (waits_until_ == k_shut) return;
  if (!one.is_set()) heap_.push_back(&one);
  one.when_ = when;
  place(one.is_set() ? one.place_ - 1 : heap_.size() - 1, one);
  wait();
}

void timers::remove(entry& one) noexcept {
  const std::size_t free = one.place_ - 1;
  entry* const last = heap_.back();
  heap_.pop_back();
  one.place_ = 0;
  if (last != &one) place(free, *last);
  if (!heap_.empty() || waits_until_ == time_point::max()) return;
  waits_until_ = time_point::max();
  first_.cancel();  // lest the io_context has work
}

// For the first one. What is waited for already may be earlier: then it is looked again.
void timers::wait() {
  if (heap_.empty() || waits_until_ <= heap_.front()->when_) return;
  const auto until = heap_.front()->when_;
  waits_until_ = time_point::max();  // should there be no memory
  first_.expires_at(until);
  first_.async_wait([this](const boost::system::error_code& failed) {
    if (!failed) turn();
  });
  waits_until_ = until;
}

// One that is set for the past while it is called has its turn in the next one.
void timers::turn() {
  waits_until_ = time_point::max();
  const auto now = std::chrono::steady_clock::now();
  const rest others{*this};
  for (std::size_t most = heap_.size(); most != 0 && !heap_.empty() && heap_.front()->when_ <= now; --most) {
    entry& one = *heap_.front();
    remove(one);
    one.on_time();
  }
}

void timers::shutdown() noexcept {
  for (entry* const one : heap_) one->place_ = 0;
  heap_.clear();
  first_.cancel();
  waits_until_ = k_shut;
}

}  // namespace ferry::net
