#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "channel/rethrow.hpp"

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
  /// Does nothing if there is none. What it throws leaves `loop`, later: whoever tells something goes on as if it had
  /// returned.
  void operator()(boost::asio::io_context& loop, Args... args) const {
    const auto running = held_;
    if (!running) return;
    try {
      (*running)(std::forward<Args>(args)...);
    } catch (...) {
      rethrow_from(loop, std::current_exception());
    }
  }

 private:
  std::shared_ptr<const std::function<void(Args...)>> held_;
};

}  // namespace ferry::detail
