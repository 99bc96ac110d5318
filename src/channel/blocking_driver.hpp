#pragma once
/// Waiting for an asynchronous operation: by turning an io_context oneself, or while a runner turns it.

#include <ferry/blocking.hpp>
#include <ferry/context.hpp>
#include <ferry/runner.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace ferry::blocking::detail {

using clock = std::chrono::steady_clock;

/// Runs operations on the thread that turns the context, and waits for them on the caller's.
class driver {
 public:
  virtual ~driver() = default;
  [[nodiscard]] virtual context& where() noexcept = 0;
  /// Calls `f` on the thread that turns the context, and waits for it.
  virtual void call(const std::function<void()>& f) = 0;
  /// Waits until `done()`, which is looked at under `lock`; whoever makes it true calls wake().
  /// @return false: the time is over
  virtual bool wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                    const std::function<bool()>& done, std::optional<clock::time_point> until) = 0;
  /// Lets what was queued go out now, where nobody else would do it soon.
  virtual void turn() = 0;
  /// Whether another thread does the I/O.
  [[nodiscard]] virtual bool threaded() const noexcept = 0;
};

[[nodiscard]] std::shared_ptr<driver> drive_here();
[[nodiscard]] std::shared_ptr<driver> drive_on(runner& on);

/// Starts an operation and waits for its values. `start(token)` starts it with a completion token whose handler takes
/// (error_code, Value). When the time is over the operation is cancelled.
/// @return its outcome; the code is timeout if the time was over and it had not happened
template <class Value, class Start>
std::pair<error_code, Value> await(driver& with, timeout limit, Start start) {
  struct shared {
    std::mutex lock;
    std::condition_variable changed;
    std::optional<std::pair<error_code, Value>> outcome;
    boost::asio::cancellation_signal cancel;
  };
  const auto state = std::make_shared<shared>();
  std::optional<clock::time_point> until;
  if (limit != k_for_ever) until = clock::now() + limit;
  with.call([&] {
    start(boost::asio::bind_cancellation_slot(state->cancel.slot(), [state](error_code failed, Value value) {
      const std::lock_guard guard(state->lock);
      state->outcome.emplace(failed, std::move(value));
      state->changed.notify_one();
    }));
  });
  const auto done = [&] { return state->outcome.has_value(); };
  std::unique_lock lock(state->lock);
  const bool in_time = with.wait(lock, state->changed, done, until);
  if (!in_time) {
    lock.unlock();
    with.call([&] { state->cancel.emit(boost::asio::cancellation_type::terminal); });
    lock.lock();
    with.wait(lock, state->changed, done, std::nullopt);
    if (state->outcome->first == errc::cancelled) state->outcome->first = errc::timeout;
  }
  return std::move(*state->outcome);
}

}  // namespace ferry::blocking::detail
