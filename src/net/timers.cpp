#include "net/timers.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <boost/system/system_error.hpp>
#include <cerrno>

#include "os/unique_fd.hpp"

namespace ferry::net {
namespace {

os::unique_fd make_clock() {
  os::unique_fd made(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));  // that of steady_clock
  if (!made) throw boost::system::system_error(errno, boost::system::system_category(), "make a timer");
  return made;
}

}  // namespace

timers::timers(boost::asio::execution_context& io) : service(io), clock_(static_cast<boost::asio::io_context&>(io)) {
  auto made = make_clock();
  clock_.assign(made.get());
  (void)made.release();
}

// Whatever a call throws, the others are called in another turn.
struct timers::rest {
  timers& of;
  ~rest() { of.wait(); }
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

// There is always room for all that are kept, whoever else is set.
void timers::make_room(std::size_t count) {
  const std::size_t needed = heap_.size() + *kept_ + count;
  if (needed > heap_.capacity()) heap_.reserve(std::max(needed, 2 * heap_.capacity()));
}

std::shared_ptr<std::size_t> timers::keep_place() {
  make_room(1);
  *kept_ += 1;
  return kept_;
}

void timers::add(entry& one, time_point when, bool kept) {
  if (waits_until_ == k_shut) return;
  if (!one.is_set()) {
    if (!kept) make_room(1);
    heap_.push_back(&one);
  }
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
  if (!heap_.empty() || !armed_) return;
  boost::system::error_code ignored;
  clock_.cancel(ignored);  // lest the io_context has work
}

// For the first one. What is waited for already may be earlier: then it is looked again.
void timers::wait() noexcept {
  if (heap_.empty()) return;
  if (const auto first = heap_.front()->when_; first < waits_until_) {
    // Nothing at all would stop it.
    const auto since_boot = std::max(first.time_since_epoch(), duration(1)).count();
    constexpr auto k_second = duration(std::chrono::seconds(1)).count();
    itimerspec when{};
    when.it_value.tv_sec = since_boot / k_second;
    when.it_value.tv_nsec = since_boot % k_second;
    (void)::timerfd_settime(clock_.native_handle(), TFD_TIMER_ABSTIME, &when, nullptr);
    waits_until_ = first;
  }
  arm();
}

// One wait at a time: that which is cancelled is over when its turn comes.
void timers::arm() noexcept {
  if (armed_) return;
  armed_ = true;
  clock_.async_wait(watched_descriptor::wait_read, place_.hold([this](const boost::system::error_code& failed) {
    armed_ = false;
    failed ? wait() : turn();
  }));
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
  boost::system::error_code ignored;
  clock_.close(ignored);
  waits_until_ = k_shut;
}

}  // namespace ferry::net
