#pragma once
/// Operations that wait, in order, each of which may be cancelled.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdint>
#include <deque>
#include <functional>
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

  [[nodiscard]] bool empty() const noexcept { return !held_ || held_->list.empty(); }
  [[nodiscard]] waiter& front() noexcept { return held_->list.front(); }

  /// Adds a waiter. When its handler is cancelled, `list` of `owner` loses it, and it completes through `cancelled`.
  /// @param list  a member of `owner`, or what finds it
  template <class Owner, class List, class Cancelled>
  void add(const std::shared_ptr<Owner>& owner, List list, boost::asio::io_context& io, Completion done, Extra extra,
           Cancelled cancelled) {
    if (!held_) held_ = std::make_unique<held>();
    const std::uint64_t id = ++held_->last_id;
    held_->list.push_back({id, std::move(done), std::move(extra)});
    held_->list.back().done.on_cancel([weak = std::weak_ptr<Owner>(owner), list, &io, id, cancelled] {
      // Posted: the slot that calls this must not be cleared while it does.
      boost::asio::post(io, [weak, list, id, cancelled] {
        if (const auto alive = weak.lock())
          if (auto one = std::invoke(list, *alive).take(id)) cancelled(one);
      });
    });
  }

  [[nodiscard]] Completion pop() {
    Completion done = std::move(held_->list.front().done);
    held_->list.pop_front();
    return done;
  }

  /// Takes all of them away, so that completing one cannot disturb the rest.
  [[nodiscard]] std::deque<waiter> take_all() noexcept {
    return held_ ? std::exchange(held_->list, {}) : std::deque<waiter>();
  }

 private:
  // Most channels never have one, and an empty deque is not small.
  struct held {
    std::deque<waiter> list;
    std::uint64_t last_id = 0;
  };

  [[nodiscard]] Completion take(std::uint64_t id) {
    if (!held_) return {};
    auto& list = held_->list;
    for (auto at = list.begin(); at != list.end(); ++at)
      if (at->id == id) {
        Completion done = std::move(at->done);
        list.erase(at);
        return done;
      }
    return {};
  }

  std::unique_ptr<held> held_;
};

}  // namespace ferry::detail
