#pragma once
#include <functional>
#include <memory>
#include <utility>

namespace ferry::detail {

/// A handler that may be replaced or taken away while it runs; it then lives until it returns.
template <class... Args>
class replaceable {
 public:
  replaceable& operator=(std::function<void(Args...)> handler) {
    held_ = handler ? std::make_shared<const std::function<void(Args...)>>(std::move(handler)) : nullptr;
    return *this;
  }
  explicit operator bool() const noexcept { return held_ != nullptr; }
  /// Does nothing if there is none.
  void operator()(Args... args) const {
    if (const auto running = held_) (*running)(std::forward<Args>(args)...);
  }

 private:
  std::shared_ptr<const std::function<void(Args...)>> held_;
};

}  // namespace ferry::detail
