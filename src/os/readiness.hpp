#pragma once
/// A descriptor that is readable or not, as it is told.

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "os/unique_fd.hpp"

namespace ferry::os {

/// For one thread at a time.
class readiness {
 public:
  /// @return null if no descriptor is left
  [[nodiscard]] static std::unique_ptr<readiness> make() {
    unique_fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    return fd ? std::make_unique<readiness>(std::move(fd)) : nullptr;
  }
  explicit readiness(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  void raise() noexcept {
    if (raised_) return;
    const std::uint64_t one = 1;
    raised_ = ::write(fd_.get(), &one, sizeof one) == sizeof one;
  }
  void lower() noexcept {
    if (!raised_) return;
    std::uint64_t count = 0;
    raised_ = ::read(fd_.get(), &count, sizeof count) != sizeof count;
  }

 private:
  unique_fd fd_;
  bool raised_ = false;
};

}  // namespace ferry::os
