#pragma once
/// A data message between services, as it lies in a ring: two heads of protobuf, each behind 12 bytes that say how long
/// everything is, and a body. Sans-I/O: bytes in, views out. Source: docs/sidecar.md.
///
///     u32 route head size, u32 size of what follows the route head, u32 0; route head;
///     u32 package head size, u32 body size, u32 0; package head; body                      little endian
///
/// Bytes may lie in memory that somebody else writes to: each size is read once and checked before it is used.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>

namespace ferry::codec::sidecar {

inline constexpr std::size_t k_pre_head_bytes = 12;
inline constexpr std::size_t k_max_head = 256 * 1024;    ///< of either head; the limit is ours
inline constexpr std::size_t k_max_payload = 10u << 20;  ///< of what follows the route head

/// Views into one message.
struct message_parts {
  bytes route_head;    ///< 1 .. k_max_head bytes
  bytes package_head;  ///< 1 .. k_max_head bytes
  bytes body;          ///< may be empty
  /// Bytes before what the ring counts as payload.
  [[nodiscard]] std::size_t route_bytes() const noexcept { return k_pre_head_bytes + route_head.size(); }
  [[nodiscard]] std::size_t total_bytes() const noexcept {
    return 2 * k_pre_head_bytes + route_head.size() + package_head.size() + body.size();
  }
};

/// @param whole        one message, exactly
/// @param route_bytes  what the ring's header says of it: the route head with its 12 bytes
/// @return protocol: a size is 0 or does not match the others | message_too_large: a head; with the values
[[nodiscard]] result<message_parts> split_message(bytes whole, std::size_t route_bytes);

/// Whether split_message() would take it. @return misuse: a head is empty | message_too_large: with the limit
[[nodiscard]] result<void> check_message(const message_parts& parts);
/// Writes a whole message. @param to  parts.total_bytes() of room @param parts  that check_message() has taken
void store_message(std::byte* to, const message_parts& parts) noexcept;

}  // namespace ferry::codec::sidecar
