#pragma once
/// What lives in a context. Channels are kept by their streams and by handlers that hold handles of them; when a
/// program leaves in the middle, nobody ends them any more, and the context lets go of all that is left.

#include <memory>
#include <mutex>
#include <unordered_set>

namespace ferry::detail {

class resident {
 public:
  /// The context goes: lets go of streams, handlers and waiting operations, and calls none of them. The context must
  /// not be used afterwards.
  virtual void abandon() noexcept = 0;
  /// Null while it is being destroyed.
  [[nodiscard]] virtual std::shared_ptr<resident> keep() noexcept = 0;

 protected:
  ~resident() = default;
};

/// Thread safety: all members.
class residents {
 public:
  void add(resident* one) {
    const std::lock_guard guard(lock_);
    all_.insert(one);
  }
  void remove(resident* one) noexcept {
    const std::lock_guard guard(lock_);
    all_.erase(one);
  }
  void abandon_all() noexcept {
    while (const auto one = take()) one->abandon();
  }

 private:
  std::shared_ptr<resident> take() noexcept {
    const std::lock_guard guard(lock_);
    while (!all_.empty()) {
      auto one = (*all_.begin())->keep();
      all_.erase(all_.begin());
      if (one) return one;
    }
    return nullptr;
  }
  std::mutex lock_;
  std::unordered_set<resident*> all_;
};

}  // namespace ferry::detail
