#pragma once
/// Sixteen bytes by one store: a process that is killed has stored all of them, or none. C++ has no such store that
/// needs neither a library with locks nor, on x86, an alignment that a foreign layout does not have.

#include <array>
#include <cstdint>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace ferry::session {

/// To other threads nothing is promised. @param to  aligned to 4; to 16 on ARM64
inline void store_whole(std::uint32_t* to, const std::array<std::uint32_t, 4>& values) noexcept {
#if defined(__x86_64__)
  // A signal comes between two instructions, and an instruction that faults has stored nothing.
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values.data()));
  asm volatile("movdqu %1, (%0)" : : "r"(to), "x"(all) : "memory");
#elif defined(__aarch64__)
  // An exclusive pair is stored whole; a plain pair may be interrupted between its halves.
  const auto low = values[0] | static_cast<std::uint64_t>(values[1]) << 32;
  const auto high = values[2] | static_cast<std::uint64_t>(values[3]) << 32;
  std::uint64_t old_low, old_high;
  std::uint32_t failed;
  asm volatile(
      "1: ldxp %0, %1, [%3]\n"
      "   stlxp %w2, %4, %5, [%3]\n"
      "   cbnz %w2, 1b\n"
      : "=&r"(old_low), "=&r"(old_high), "=&r"(failed)
      : "r"(to), "r"(low), "r"(high)
      : "memory");
#else
#error "needs a store of 16 bytes that cannot be interrupted"
#endif
}

}  // namespace ferry::session
