#pragma once
/// How often the program has asked for memory. Linking this replaces the global operator new and delete.

#include <cstdint>

namespace ferry::app {

/// Calls of any operator new so far, of all threads. Any thread.
[[nodiscard]] std::uint64_t allocations() noexcept;

}  // namespace ferry::app
