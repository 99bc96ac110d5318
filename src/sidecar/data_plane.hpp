#pragma once
/// What carries messages one way between a service and its sidecar: one end of a ring, whichever kind it is of. Both
/// kinds say the same of themselves, and do the same when something is wrong. Source: docs/sidecar.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/sidecar.hpp>

#include <cstdint>
#include <span>

#include "ring/sidecar_ring.hpp"

namespace ferry::sidecar {

/// A message at the front of a ring. Its bytes may lie in memory that somebody else writes to.
struct ring_message {
  service_rings kind = service_rings::compatible;  ///< how its bytes are to be read
  bytes whole;
  std::size_t head_bytes = 0;  ///< of these, up to what the ring counts as payload; 0: they cannot be a message
  std::uint64_t time_ms = 0;   ///< when it was sent, since 1970
  bool there = false;
  explicit operator bool() const noexcept { return there; }
};

/// The end that reads. One thread uses it.
class plane_reader {
 public:
  virtual ~plane_reader() = default;
  /// The oldest message that is not too old; the same until pop(). @return none: empty, or very many were too old |
  /// what lies there cannot be: it was dropped and counted, and the next call goes on behind it, or says it again if
  /// that cannot be
  [[nodiscard]] virtual result<ring_message> front(std::uint64_t now_ms) = 0;
  /// front() has given a message: its room is the writer's again.
  virtual void pop() noexcept = 0;
  /// front() has given none as very many were too old: more lies behind them.
  [[nodiscard]] virtual bool skips() const noexcept = 0;
  /// What lies there can never be followed again.
  [[nodiscard]] virtual bool corrupt() const noexcept { return false; }

  [[nodiscard]] virtual const ring::sidecar_ring_stats& stats() const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t unread_bytes() const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t queue_bytes() const noexcept = 0;
  /// The most of it that was ever seen since it was asked last.
  [[nodiscard]] virtual std::uint32_t take_peak() noexcept = 0;
  /// A file has become shorter under us: what is in it means nothing.
  [[nodiscard]] virtual bool torn() const noexcept = 0;

  // The doorbell, where there is one: announce_sleep(), a barrier if it says so, once for any number of rings, and then
  // something(): only if there is nothing, waiting until wake_fd() is readable.

  /// -1: it has none, and must be looked at again and again.
  [[nodiscard]] virtual int wake_fd() const noexcept { return -1; }
  /// @return whether a barrier must follow
  [[nodiscard]] virtual bool announce_sleep() noexcept { return false; }
  [[nodiscard]] virtual bool something() const noexcept { return true; }
  /// Takes the announcement back, and what has woken us.
  virtual void awake() noexcept {}
};

/// The end that writes. One thread uses it.
class plane_writer {
 public:
  virtual ~plane_writer() = default;
  /// Writes a message that consists of all parts, one behind the other, and wakes whoever sleeps. @param head_bytes  of
  /// it, up to what the ring counts as payload @param time_ms  since 1970 @return false: no room now, or it never
  /// fits, or corrupt(); nothing was written
  [[nodiscard]] virtual bool write(std::span<const bytes> parts, std::size_t head_bytes,
                                   std::uint64_t time_ms) noexcept = 0;
  /// The reader's position cannot be; nothing more can be sent.
  [[nodiscard]] virtual bool corrupt() const noexcept = 0;
  /// Bytes of a message that fit for certain into a ring that is empty.
  [[nodiscard]] virtual std::size_t max_message() const noexcept = 0;
  /// What the reader has not taken. Changes nothing but what is known of the reader.
  [[nodiscard]] virtual std::uint32_t unread_bytes() noexcept = 0;
  [[nodiscard]] virtual std::uint32_t queue_bytes() const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t take_peak() noexcept = 0;
  [[nodiscard]] virtual bool torn() const noexcept = 0;
};

}  // namespace ferry::sidecar
