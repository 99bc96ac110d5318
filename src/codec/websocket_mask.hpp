#pragma once
/// Masking of WebSocket payloads: each byte XORed with one of the key's four, in turn. Doing it twice undoes it.
/// Source: RFC 6455, section 5.3.

#include <ferry/bytes.hpp>

#include <array>
#include <cstdint>

namespace ferry::codec {

/// As it lies in a frame. Keys must be unpredictable to whoever chooses the payload: from the system's generator.
using websocket_mask_key = std::array<std::byte, 4>;

/// XORs in place. Any alignment, any size; at most 16 bytes are touched at once, none outside of `data`.
/// @param offset  of data[0] in the payload, so that a payload may be masked in parts
void apply_websocket_mask(mutable_bytes data, const websocket_mask_key& key, std::uint64_t offset = 0) noexcept;

}  // namespace ferry::codec
