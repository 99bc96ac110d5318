#pragma once
/// A mapped file that somebody cuts off ends whoever reads behind its new end, with SIGBUS. For a guarded mapping the
/// page turns into zeros instead, and the guard remembers.

#include <cstddef>
#include <span>

namespace ferry::os {

/// Guards a mapping while it lives; the mapping must outlive it. The first guard of a process installs a handler for
/// SIGBUS, which hands faults elsewhere on to the one that was there before.
/// Thread safety: the guard is made and destroyed by one thread, the mapping used by any.
class bus_guard {
 public:
  /// @throws std::length_error  more than 1024 guards
  explicit bus_guard(std::span<std::byte> mapped);
  ~bus_guard();
  bus_guard(const bus_guard&) = delete;
  bus_guard& operator=(const bus_guard&) = delete;

  /// Whether a page was missing: what is read from the mapping means nothing any more.
  [[nodiscard]] bool torn() const noexcept;

 private:
  std::size_t slot_;
};

}  // namespace ferry::os
