#pragma once
/// The timers of one io_context, on one of the kernel's: a timer of Asio's own takes 250 bytes while somebody waits for
/// it, and to wait for one may fail.

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/time.hpp"
#include "net/handler_place.hpp"
#include "net/watch.hpp"

namespace ferry::net {

/// One for each io_context, which has work while a timer is set. On the thread that turns it. Its making throws
/// boost::system::system_error where no descriptor is left; make_ready() does so beforehand.
class timers final : public boost::asio::execution_context::service {
 public:
  using key_type = timers;
  inline static boost::asio::execution_context::id id;

  class kept_entry;

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
    void set_timer(boost::asio::io_context& io, time_point when) { set(io, when, false); }
    void cancel_timer(boost::asio::io_context& io) noexcept {
      if (is_set()) boost::asio::use_service<timers>(io).remove(*this);
    }

   protected:
    virtual ~entry() = default;

   private:
    friend timers;
    friend class kept_entry;
    [[nodiscard]] bool is_set() const noexcept { return place_ != 0; }
    void set(boost::asio::io_context& io, time_point when, bool kept) {
      if (!is_set() || when < when_) boost::asio::use_service<timers>(io).add(*this, when, kept);
    }

    time_point when_{};
    std::size_t place_ = 0;  // in the heap, and 1; 0: not set
  };

  /// One whose place is kept while it lives: to set it takes no memory, and cannot fail.
  class kept_entry : public entry {
   public:
    /// Throws std::bad_alloc
    explicit kept_entry(boost::asio::io_context& io)
        : io_(io), kept_(boost::asio::use_service<timers>(io).keep_place()) {}

    void set_timer(time_point when) noexcept { set(io_, when, true); }
    void cancel_timer() noexcept { entry::cancel_timer(io_); }

   protected:
    ~kept_entry() override {
      cancel_timer();
      *kept_ -= 1;
    }

   private:
    boost::asio::io_context& io_;
    std::shared_ptr<std::size_t> kept_;  // also when the io_context has gone
  };

  explicit timers(boost::asio::execution_context& io);

 private:
  struct rest;
  void shutdown() noexcept override;
  void add(entry& one, time_point when, bool kept);
  void remove(entry& one) noexcept;
  [[nodiscard]] std::shared_ptr<std::size_t> keep_place();
  void make_room(std::size_t count);
  void wait() noexcept;
  void arm() noexcept;
  void turn();

  void put(std::size_t at, entry& one) noexcept {
    heap_[at] = &one;
    one.place_ = at + 1;
  }
  /// Finds its place for an entry, where there is a free one. @param at  that
  void place(std::size_t at, entry& one) noexcept;

  std::vector<entry*> heap_;  // the earliest first, none before its parent, at half its place
  std::shared_ptr<std::size_t> kept_ = std::make_shared<std::size_t>(0);  // places in it, whether used or not
  watched_descriptor clock_;                                              // owns a timer of the kernel's
  time_point waits_until_ = time_point::max();                            // as the clock is set; max(): it is not
  bool armed_ = false;                                                    // Asio waits for it
  handler_place place_;                                                   // for that
};

}  // namespace ferry::net
