#pragma once
/// One thread that turns an io_context, for those who have no event loop of their own. Includes no Boost.

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace ferry {

class context;

/// A thread, an io_context and a context on it, from construction to destruction. Whoever wants a thread makes one of
/// these; nothing else in the library does.
/// Thread safety: every member from any thread. Destroy it on a thread that is not its own, after what was made with
/// it.
class runner {
 public:
  runner();   ///< throws failure if no descriptor is left for the event loop
  ~runner();  ///< stops the io_context and waits for the thread
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;

  /// For use on the runner's thread: inside run() and post(), and in handlers.
  [[nodiscard]] context& where() noexcept;

  /// Calls `f` on the runner's thread and returns what it returns; on that thread itself, at once. What `f` throws is
  /// thrown here.
  template <class F>
  auto run(F f) {
    using value = std::invoke_result_t<F&>;
    if constexpr (std::is_void_v<value>) {
      call([&] { f(); });
    } else {
      std::optional<value> got;
      call([&] { got.emplace(f()); });
      return std::move(*got);
    }
  }
  /// Calls `f` on the runner's thread some time soon; returns at once. `f` must not throw.
  void post(std::function<void()> f);
  [[nodiscard]] bool on_its_thread() const noexcept;

 private:
  void call(const std::function<void()>& f);
  struct parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace ferry
