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

inline constexpr std::size_t k_most_messages = 16;  ///< that are told one by one

/// Of a session, that waits in its ring.
struct waiting_message {
  std::uint64_t number = 0;
  std::uint16_t type = 0;
  bool text = false;
  std::uint64_t bytes = 0;  ///< of its payload
};

struct ring_report {
  std::uint64_t position = 0;  ///< that the consumer has published: it may have read on
  std::uint64_t sequence = 0;
  std::uint64_t wake_at = 0;            ///< the position that the producer waits for; 0: none
  std::optional<ring_contents> unread;  ///< from `position` on; nothing: damaged, or too busy
  bool busy = false;                    ///< it went on at every attempt to read it
  /// The oldest that are unread, k_most_messages at most, of a session's ring; of another one it means nothing.
  std::vector<waiting_message> oldest;
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
