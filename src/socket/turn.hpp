#pragma once
/// Many threads, one io_context that no thread owns: whoever calls has all of it for as long as the call takes, and
/// who must wait turns it meanwhile.

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>

namespace ferry::sockets {

/// One thread at a time *has the turn*: it may touch the io_context and everything made with it. A thread that waits
/// gives it away while it sleeps; of several that wait, one turns the io_context and looks after the others, whose
/// conditions it asks whenever something has happened.
/// Thread safety: all members.
class shared_turn {
 public:
  using clock = std::chrono::steady_clock;
  using condition = std::function<bool()>;

  /// @param has_news  asked with the turn @param tell  called without it, and may call anything; throws nothing
  shared_turn(boost::asio::io_context& io, condition has_news, std::function<void()> tell);

  /// Waits for the turn; who has it sleeping is woken.
  void take();
  /// Then tells the news.
  void give();
  /// Only with the turn, which is given away meanwhile. `ready` is asked with the turn, by any of the threads.
  /// @return false: `until` has passed @throws what a handler or `ready` throws; the caller has the turn again then
  [[nodiscard]] bool wait(const condition& ready, std::optional<clock::time_point> until);
  /// What can happen at once happens; only with the turn.
  void run_ready();

 private:
  using guard = std::unique_lock<std::mutex>;
  struct waiter {
    explicit waiter(const condition* asked) noexcept : ready(asked) {}
    const condition* ready;
    bool woken = false;
    std::condition_variable changed;
  };

  [[nodiscard]] bool others_want_it() const noexcept { return tickets_ - serving_ > 1; }  // asked by who has it
  void take(guard& lock);
  void release(guard& lock);
  /// @return whether this thread turns on
  [[nodiscard]] bool give_way(guard& lock);
  void wake() noexcept;
  void ask_waiters() noexcept;
  void doze(guard& lock, const condition& ready, std::optional<clock::time_point> until);
  void sleep_once(guard& lock, std::optional<clock::time_point> until);

  boost::asio::io_context& io_;
  const condition has_news_;
  const std::function<void()> tell_;
  std::mutex mutex_;
  // All of these are guarded by mutex_.
  std::condition_variable served_;
  std::uint64_t tickets_ = 0;  // given to those who want the turn, the one who has it included
  std::uint64_t serving_ = 0;  // the ticket of who has it, or the next one if nobody has
  bool turning_ = false;       // somebody inside of wait() turns, or will as soon as it has the turn again
  bool asleep_ = false;        // whoever has the turn may be waiting for the kernel
  bool woken_ = false;         // a handler is under way that ends that sleep
  std::list<waiter*> waiters_;
};

}  // namespace ferry::sockets
