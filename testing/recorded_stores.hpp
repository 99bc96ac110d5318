#pragma once
/// Stores of a persistent session, each of which is a step at which a test may look, or end it all.

#include <ferry/bytes.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>

namespace ferry::test {

/// Takes the place of ring::direct_stores. Bytes are copied word by word, so that a torn body is among what is seen.
struct recorded_stores {
  /// Called before each store, with where it goes; what it throws leaves the store undone.
  static inline thread_local std::function<void(const void* to)> before = {};

  static void word(std::uint64_t& to, std::uint64_t value, std::memory_order order) {
    step(&to);
    std::atomic_ref(to).store(value, order);
  }
  static void word(std::atomic<std::uint64_t>& to, std::uint64_t value, std::memory_order order) {
    step(&to);
    to.store(value, order);
  }
  static void copy(std::byte* to, bytes from) {
    while (!from.empty()) {
      const auto size = from.size() < 8 ? from.size() : 8;
      step(to);
      std::memcpy(to, from.data(), size);
      to += size;
      from = from.subspan(size);
    }
  }

 private:
  static void step(const void* to) {
    if (before) before(to);
  }
};

}  // namespace ferry::test
