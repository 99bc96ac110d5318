#pragma once
/// Memory for what Asio must remember of a handler, made beforehand: to wait, or to post, then cannot fail.

#include <array>
#include <cassert>
#include <cstddef>
#include <utility>

namespace ferry::net {

/// Room for one handler at a time. Lives until the handler was called or destroyed; a handler may keep its owner alive,
/// because the room is free before the handler goes.
class handler_place {
 public:
  handler_place() = default;
  handler_place(const handler_place&) = delete;
  handler_place& operator=(const handler_place&) = delete;

  template <class T>
  struct allocator {
    using value_type = T;
    explicit allocator(handler_place& of) noexcept : at(&of) {}
    template <class U>
    allocator(const allocator<U>& other) noexcept : at(other.at) {}  // NOLINT(google-explicit-constructor)
    [[nodiscard]] T* allocate(std::size_t count) const noexcept {
      static_assert(sizeof(T) <= k_bytes && alignof(T) <= alignof(std::max_align_t));
      assert(count == 1 && !at->taken_), (void)count;
      at->taken_ = true;
      return reinterpret_cast<T*>(at->room_.data());
    }
    void deallocate(T*, std::size_t) const noexcept { at->taken_ = false; }
    template <class U>
    bool operator==(const allocator<U>& other) const noexcept {
      return at == other.at;
    }
    handler_place* at;
  };

  /// `then`, which Asio remembers here. Not while the one before is waited for.
  template <class Handler>
  [[nodiscard]] auto hold(Handler then) noexcept {
    return held<Handler>{this, std::move(then)};
  }

 private:
  template <class Handler>
  struct held {
    using allocator_type = allocator<void>;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*at); }
    template <class... Outcome>
    void operator()(Outcome&&... outcome) {
      then(std::forward<Outcome>(outcome)...);
    }
    handler_place* at;
    Handler then;
  };

  static constexpr std::size_t k_bytes = 160;
  alignas(std::max_align_t) std::array<std::byte, k_bytes> room_;
  bool taken_ = false;
};

}  // namespace ferry::net
