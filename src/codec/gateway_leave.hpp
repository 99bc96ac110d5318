#pragma once
/// The last word of a member whose stream a token resumes: it closes, and nobody has to wait for it to come again.
/// Source: docs/gateway.md.

#include <ferry/bytes.hpp>

#include <array>

#include "codec/gateway_packet.hpp"

namespace ferry::codec::gateway {

inline constexpr std::byte k_leave_type{7};

/// The whole packet.
inline constexpr std::array<std::byte, k_header_bytes + 1> k_leave_packet{std::byte{5}, {}, {}, {},          {},
                                                                          {},           {}, {}, k_leave_type};

[[nodiscard]] inline bool is_leave(const packet& what) noexcept {
  return what.connection == k_command_connection && !what.message.empty() && what.message.front() == k_leave_type;
}

}  // namespace ferry::codec::gateway
