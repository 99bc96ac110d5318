#include "socket/name_threads.hpp"

#include <pthread.h>

#include <system_error>

namespace ferry::sockets {

void name_threads::push(task one) {
  std::unique_lock lock(mutex_);
  if (stopping_) return;
  if (idle_ <= waiting_.size() && threads_.size() < k_most) {
    try {
      threads_.reserve(k_most);
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) {
        lock.unlock();
        return one();
      }
    }
  }
  waiting_.push_back(std::move(one));
  changed_.notify_one();
}

void name_threads::run() {
  ::pthread_setname_np(::pthread_self(), "ferry-names");
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (stopping_) return;
    auto next = std::exchange(waiting_.front(), nullptr);
    waiting_.pop_front();
    lock.unlock();
    next();
    next = nullptr;
    lock.lock();
  }
}

void name_threads::stop() {
  std::deque<task> dropped;
  std::vector<std::thread> all;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(waiting_);
    all.swap(threads_);
  }
  changed_.notify_all();
  for (auto& one : all) one.join();
}

}  // namespace ferry::sockets
