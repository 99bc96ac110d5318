#pragma once
/// The event loop that a composition lives on: a runner's, or that of a context which the caller turns.

#include <ferry/context.hpp>
#include <ferry/runner.hpp>

#include <future>
#include <optional>
#include <utility>

namespace ferry::compat {

class home {
 public:
  explicit home(runner& on) noexcept : where_(&on.where()), runner_(&on) {}
  explicit home(context& in) noexcept : where_(&in) {}

  [[nodiscard]] context& where() const noexcept { return *where_; }

  /// Calls `f` where it may use the loop's objects, and returns what it returns.
  template <class F>
  auto run(F f) const {
    return runner_ != nullptr ? runner_->run(std::move(f)) : f();
  }

  /// Throws failure(misuse) in a handler of the loop: waiting for the loop there would be for ever.
  void refuse_inside(const char* what) const {
    if (where_->io().get_executor().running_in_this_thread())
      throw failure(errc::misuse, 0,
                    std::string(what) + " waits for the event loop, and was called by one of its handlers");
  }

  /// Calls `start(done)` on the loop and waits until done(value) has been called there. After refuse_inside().
  template <class T, class Start>
  T wait(Start start) const {
    auto& io = where_->io();
    if (runner_ != nullptr) {
      std::promise<T> promise;
      runner_->run([&] { start([&promise](T value) { promise.set_value(std::move(value)); }); });
      return promise.get_future().get();
    }
    std::optional<T> got;
    start([&got](T value) { got = std::move(value); });
    while (!got) {
      if (io.stopped()) io.restart();
      io.run_one();
    }
    return std::move(*got);
  }

 private:
  context* where_;
  runner* runner_ = nullptr;
};

}  // namespace ferry::compat
