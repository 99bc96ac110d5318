#pragma once
/// Errors where nothing may be thrown.

#include <ferry/error.hpp>

#include <new>
#include <utility>

namespace ferry {

/// An error with a text; without memory for that, its code says it alone.
/// @param text  called for a std::string
template <class Build>
[[nodiscard]] error described(errc code, const Build& text) noexcept {
  try {
    return {code, text()};
  } catch (const std::bad_alloc&) {
    return code;
  }
}

/// Why something is over, if it is; most are not: while there is none, one pointer. Without memory it is
/// errc::no_memory that is kept.
class kept_error {
 public:
  kept_error() noexcept = default;
  kept_error(const kept_error&) = delete;
  ~kept_error() { reset(); }
  kept_error& operator=(const kept_error& other) noexcept {
    if (this == &other) return *this;
    if (other) return *this = *other;
    reset();
    return *this;
  }
  kept_error& operator=(error why) noexcept {
    reset();
    held_ = new (std::nothrow) error(std::move(why));
    if (held_ == nullptr) held_ = &no_memory();
    return *this;
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }
  [[nodiscard]] const error& operator*() const noexcept { return *held_; }
  [[nodiscard]] const error* operator->() const noexcept { return held_; }
  void reset() noexcept {
    if (held_ != &no_memory()) delete held_;
    held_ = nullptr;
  }

 private:
  static const error& no_memory() noexcept {
    static const error only(errc::no_memory);
    return only;
  }
  const error* held_ = nullptr;
};

}  // namespace ferry
