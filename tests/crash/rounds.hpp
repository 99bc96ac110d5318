#pragma once
/// How long the crash tests go on.

#include <cstdint>
#include <cstdlib>

namespace ferry::test {

/// `usual`, or as many times more as $FERRY_CRASH_FACTOR says (the long form; make soak sets it).
[[nodiscard]] inline std::uint64_t rounds(std::uint64_t usual) {
  const char* const factor = std::getenv("FERRY_CRASH_FACTOR");
  const long times = factor == nullptr ? 1 : std::strtol(factor, nullptr, 10);
  return usual * static_cast<std::uint64_t>(times < 1 ? 1 : times);
}

}  // namespace ferry::test
