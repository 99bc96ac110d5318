#pragma once
/// Several producers, one consumer.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <chrono>
#include <cstdint>
#include <string>

#include "bench/limits.hpp"

namespace ferry::app {

struct producers_plan {
  std::string url;
  options with;
  std::uint32_t producers = 2;  ///< 1 .. 7
  bool threads = false;  ///< of one process, on one channel with senders=many; else processes with a channel each
  std::chrono::nanoseconds duration = std::chrono::seconds(1);
  bench::placement pin;  ///< first: all producers, second: the consumer
};

struct producers_result {
  std::uint64_t messages = 0;  ///< of 64 bytes, that arrived
  double seconds = 0;          ///< from the first arrival to the last
  std::uint64_t lost = 0;      ///< numbers of any producer that were left out, or came in another order
  std::uint64_t corrupt = 0;   ///< of another size, or with another body
  [[nodiscard]] double messages_per_second() const noexcept { return static_cast<double>(messages) / seconds; }
};

/// The consumer is one thread of one process; order is checked producer by producer, and every word of every message.
/// @return the figures | errc::misuse | errc::unsupported (they stay in one process) | errc::timeout | errors of the
/// URL
[[nodiscard]] result<producers_result> measure_producers(const producers_plan& asked);

}  // namespace ferry::app
