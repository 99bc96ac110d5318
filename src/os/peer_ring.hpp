#pragma once
/// The outgoing ring of a session's other side, as it is mapped from the descriptor that came with a login. The peer
/// may write anything into it at any time, and cut it off. Source: docs/sessions.md.

#include <ferry/error.hpp>

#include <memory>
#include <span>

#include "os/bus_guard.hpp"
#include "os/mapping.hpp"
#include "os/unique_fd.hpp"
#include "ring/ring_layout.hpp"

namespace ferry::os {

/// Mapped for reading, but for the page with the positions and bells. Sizes are what was checked, and never looked up
/// again.
struct peer_ring {
  mapping at;
  std::unique_ptr<bus_guard> guard;
  ring::geometry sizes;
  [[nodiscard]] ring::shared_page& shared() const noexcept {
    return *reinterpret_cast<ring::shared_page*>(at.data() + sizes.shared_offset());
  }
  [[nodiscard]] std::span<const std::byte> records() const noexcept {
    return at.span().subspan(sizes.ring_offset(0), sizes.ring_bytes);
  }
};

/// @return protocol (no descriptor, or not of a file that can be used so) | corrupt (no ring of a session) |
/// unsupported
[[nodiscard]] result<peer_ring> map_peer_ring(const unique_fd& file);

}  // namespace ferry::os
