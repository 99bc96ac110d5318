#pragma once
/// A mapped file that somebody cuts off ends whoever reads behind its new end, with SIGBUS. For a guarded mapping the
/// page turns into zeros instead, and the guard remembers.

#include <cstddef>
#include <span>

namespace ferry::os {

/// Guards a mapping while it lives; the mapping must outlive it. The first guard of a process installs a handler for
/// SIGBUS, which hands faults elsewhere on to the one that was there before. As many as there can be mappings; the
/// places of those that are gone are used again.
/// Thread safety: the guard is made and destroyed by one thread, the mapping used by any.
class bus_guard {
 public:
  /// @throws std::bad_alloc
  explicit bus_guard(std::span<std::byte> mapped);
  ~bus_guard();
  bus_guard(const bus_guard&) = delete;
  bus_guard& operator=(const bus_guard&) = delete;

  /// Whether a page was missing: what is read from the mapping means nothing any more.
  [[nodiscard]] bool torn() const noexcept;

  struct place;

 private:
  place* place_;
};

}  // namespace ferry::os
