#pragma once
/// The timers of one io_context, on one of Asio's: a timer of Asio's own takes 250 bytes while somebody waits for it.

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <vector>

#include "base/time.hpp"

namespace ferry::net {

/// One for each io_context, which has work while a timer is set. On the thread that turns it.
class timers final : public boost::asio::execution_context::service {
 public:
  using key_type = timers;
  inline static boost::asio::execution_context::id id;

  /// A timer: who wants to be called is made of it, and calls cancel_timer() before it goes. Its address must not
  /// change while it is set.
  class entry {
   public:
    entry() = default;
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;

    /// It is time; the timer is no longer set. May set it again, and may destroy it.
    virtual void on_time() = 0;

    /// It is time at `when`, or before, if it is set for an earlier time: who is called asks what is due, and sets it
    /// anew. So what only moves to later costs nothing. Throws std::bad_alloc
    void set_timer(boost::asio::io_context& io, time_point when) {
      if (!is_set() || when < when_) boost::asio::use_service<timers>(io).add(*this, when);
    }
    void cancel_timer(boost::asio::io_context& io) noexcept {
      if (is_set()) boost::asio::use_service<timers>(io).remove(*this);
    }

   protected:
    virtual ~entry() = default;

   private:
    friend timers;
    [[nodiscard]] bool is_set() const noexcept { return place_ != 0; }

    time_point when_{};
    std::size_t place_ = 0;  // in the heap, and 1; 0: not set
  };

  explicit timers(boost::asio::execution_context& io)
      : service(io), first_(static_cast<boost::asio::io_context&>(io)) {}

 private:
  struct rest;
  void shutdown() noexcept override;
  void add(entry& one, time_point when);
  void remove(entry& one) noexcept;
  void wait();
  void turn();

  void put(std::size_t at, entry& one) noexcept {
    heap_[at] = &one;
    one.place_ = at + 1;
  }
  /// Finds its place for an entry, where there is a free one. @param at  that
  void place(std::size_t at, entry& one) noexcept;

  std::vector<entry*> heap_;  // the earliest first, none before its parent, at half its place
  boost::asio::steady_timer first_;
  time_point waits_until_ = time_point::max();  // max(): nothing waits
};

}  // namespace ferry::net
