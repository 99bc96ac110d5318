#pragma once
/// Operations that wait, in order, each of which may be cancelled.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

namespace ferry::detail {

template <class Completion, class Extra>
class waiters {
 public:
  struct waiter {
    std::uint64_t id;
    Completion done;
    Extra extra;
  };

  [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
  [[nodiscard]] waiter& front() noexcept { return list_.front(); }

  /// Adds a waiter. When its handler is cancelled, `owner->*list` loses it, and it completes through `cancelled`.
  template <class Owner, class Cancelled>
  void add(const std::shared_ptr<Owner>& owner, waiters Owner::*list, boost::asio::io_context& io, Completion done,
           Extra extra, Cancelled cancelled) {
    const std::uint64_t id = ++last_id_;
    list_.push_back({id, std::move(done), std::move(extra)});
    list_.back().done.on_cancel([weak = std::weak_ptr<Owner>(owner), list, &io, id, cancelled] {
      // Posted: the slot that calls this must not be cleared while it does.
      boost::asio::post(io, [weak, list, id, cancelled] {
        if (const auto alive = weak.lock())
          if (auto one = ((*alive).*list).take(id)) cancelled(one);
      });
    });
  }

  [[nodiscard]] Completion pop() {
    Completion done = std::move(list_.front().done);
    list_.pop_front();
    return done;
  }

  /// Takes all of them away, so that completing one cannot disturb the rest.
  [[nodiscard]] std::deque<waiter> take_all() noexcept { return std::exchange(list_, {}); }

 private:
  [[nodiscard]] Completion take(std::uint64_t id) {
    for (auto at = list_.begin(); at != list_.end(); ++at)
      if (at->id == id) {
        Completion done = std::move(at->done);
        list_.erase(at);
        return done;
      }
    return {};
  }

  std::deque<waiter> list_;
  std::uint64_t last_id_ = 0;
};

}  // namespace ferry::detail
