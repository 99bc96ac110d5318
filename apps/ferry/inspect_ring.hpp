#pragma once
/// What the memory of a ring says, read piece by piece from wherever it lies, while its two sides may be at work.

#include <ferry/detail/ring_core.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <optional>
#include <vector>

#include "apps/ferry/inspect_maps.hpp"
#include "ring/ring_layout.hpp"

namespace ferry::app {

struct ring_report {
  std::uint64_t position = 0;  ///< that the consumer has published: it may have read on
  std::uint64_t sequence = 0;
  std::uint64_t wake_at = 0;            ///< the position that the producer waits for; 0: none
  std::optional<ring_contents> unread;  ///< from `position` on; nothing: damaged, or too busy
  bool busy = false;                    ///< it went on at every attempt to read it
};

/// The memory of one direction.
struct memory_report {
  ring::geometry sizes;
  ring::description header;
  std::uint32_t version = 0;
  std::uint32_t consumer_sleeps = 0;  ///< a ring::sleeping, or damaged
  std::uint32_t producer_sleeps = 0;
  std::vector<ring_report> rings;
};

/// @param size  bytes that there are. @return what ring::read_header() and `read` say
[[nodiscard]] result<memory_report> inspect_memory(const memory_reader& read, std::uint64_t size);

}  // namespace ferry::app
