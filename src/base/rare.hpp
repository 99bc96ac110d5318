#pragma once
/// What most objects of a kind never have.

#include <memory>
#include <utility>

namespace ferry {

/// As std::optional, for a value that is rarely there: while it is not, one pointer.
template <class T>
class rare {
 public:
  rare() noexcept = default;
  rare(rare&&) noexcept = default;
  rare(const rare& other) : held_(other ? std::make_unique<T>(*other) : nullptr) {}
  rare& operator=(rare other) noexcept {
    held_.swap(other.held_);
    return *this;
  }
  rare& operator=(T value) {
    held_ = std::make_unique<T>(std::move(value));
    return *this;
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }
  [[nodiscard]] T& operator*() noexcept { return *held_; }
  [[nodiscard]] const T& operator*() const noexcept { return *held_; }
  [[nodiscard]] T* operator->() noexcept { return held_.get(); }
  [[nodiscard]] const T* operator->() const noexcept { return held_.get(); }
  /// What is there, or what is made now.
  [[nodiscard]] T& need() {
    if (!held_) held_ = std::make_unique<T>();
    return *held_;
  }
  void reset() noexcept { held_.reset(); }

 private:
  std::unique_ptr<T> held_;
};

}  // namespace ferry
