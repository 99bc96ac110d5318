#pragma once
/// How the parts of a persistent session write into memory that outlives the process. Everything that recovery may read
/// goes through here, one word or one run of bytes at a time, so that a test can stop after each and look at what a
/// kill would leave.

#include <ferry/bytes.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>

namespace ferry::ring {

struct direct_stores {
  static void word(std::uint64_t& to, std::uint64_t value, std::memory_order order) noexcept {
    std::atomic_ref(to).store(value, order);
  }
  static void word(std::atomic<std::uint64_t>& to, std::uint64_t value, std::memory_order order) noexcept {
    to.store(value, order);
  }
  static void copy(std::byte* to, bytes from) noexcept {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }
};

}  // namespace ferry::ring
