#include "ring/held_consumer.hpp"

namespace ferry::ring {

std::optional<ring_contents> scan_from(std::span<const std::byte> data, std::uint64_t position,
                                       std::uint64_t sequence) noexcept {
  ring_line there;
  there.position = position;
  there.sequence = sequence;
  return ring_scan(data, there);
}

}  // namespace ferry::ring
