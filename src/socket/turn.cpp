#include "socket/turn.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace ferry::sockets {
namespace {

constexpr int k_most_at_once = 256;  // handlers between two looks at who else wants the turn

/// Does something when its scope is left, by an exception too.
template <class F>
class at_the_end {
 public:
  explicit at_the_end(F f) : f_(std::move(f)) {}
  ~at_the_end() { f_(); }
  at_the_end(const at_the_end&) = delete;
  at_the_end& operator=(const at_the_end&) = delete;

 private:
  F f_;
};

}  // namespace

shared_turn::shared_turn(boost::asio::io_context& io, condition has_news, std::function<void()> tell)
    : io_(io), has_news_(std::move(has_news)), tell_(std::move(tell)) {}

void shared_turn::take() {
  guard lock(mutex_);
  take(lock);
}

// In the order of asking: who gives way cannot have it again before the one who wants it wakes up.
void shared_turn::take(guard& lock) {
  const auto ticket = tickets_++;
  if (ticket == serving_) return;
  if (asleep_ && !std::exchange(woken_, true)) wake();
  served_.wait(lock, [this, ticket] { return ticket == serving_; });
}

// Without memory for a handler the io_context is stopped, which whoever turns it makes up for.
void shared_turn::wake() noexcept {
  try {
    boost::asio::post(io_, [] {});
  } catch (...) {
    io_.stop();
  }
}

void shared_turn::give() {
  guard lock(mutex_);
  const bool news = has_news_();
  release(lock);
  lock.unlock();
  if (news) tell_();
}

void shared_turn::release(guard&) {
  ask_waiters();
  ++serving_;
  if (serving_ != tickets_) served_.notify_all();
  if (turning_ || waiters_.empty()) return;
  waiters_.front()->woken = true;  // it turns from now on, or finds that it need not
  waiters_.front()->changed.notify_one();
}

// What a condition throws is for the thread that waits for it: that one asks again.
void shared_turn::ask_waiters() noexcept {
  for (waiter* one : waiters_) {
    if (one->woken) continue;
    try {
      if (!(*one->ready)()) continue;
    } catch (...) {
    }
    one->woken = true;
    one->changed.notify_one();
  }
}

// Whoever is told may wait too, so another thread may turn meanwhile.
bool shared_turn::give_way(guard& lock) {
  const bool news = has_news_();
  turning_ = !news;
  release(lock);
  if (news) {
    lock.unlock();
    tell_();
    lock.lock();
  }
  take(lock);
  return !news;
}

void shared_turn::doze(guard& lock, const condition& ready, std::optional<clock::time_point> until) {
  waiter self(&ready);
  const auto place = waiters_.insert(waiters_.end(), &self);
  release(lock);
  const auto woken = [&self] { return self.woken; };
  until ? static_cast<void>(self.changed.wait_until(lock, *until, woken)) : self.changed.wait(lock, woken);
  waiters_.erase(place);
  take(lock);
}

void shared_turn::sleep_once(guard& lock, std::optional<clock::time_point> until) {
  asleep_ = true;
  woken_ = false;
  io_.restart();
  lock.unlock();
  // Also when a handler throws.
  const at_the_end awake([&] {
    lock.lock();
    asleep_ = false;
  });
  if (until)
    io_.run_one_until(*until);
  else
    io_.run_one();
  run_ready();
}

bool shared_turn::wait(const condition& ready, std::optional<clock::time_point> until) {
  guard lock(mutex_);
  bool mine = false;  // this thread is the one that turns
  bool in_time = true;
  const at_the_end another_may([&] {
    if (mine) turning_ = false;
  });
  while (!ready() && in_time) {
    if (until && clock::now() >= *until) {
      in_time = false;
    } else if (turning_ && !mine) {
      doze(lock, ready, until);
    } else if (others_want_it() || has_news_()) {
      mine = give_way(lock);
    } else {
      mine = turning_ = true;
      sleep_once(lock, until);
      ask_waiters();
    }
  }
  return in_time;
}

void shared_turn::run_ready() {
  io_.restart();
  for (int left = k_most_at_once; left != 0 && io_.poll_one() != 0; --left) {
  }
}

}  // namespace ferry::sockets
