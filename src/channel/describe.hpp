#pragma once
/// From options to the policies below, and from what those decide to texts for people.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <cstddef>
#include <cstdint>

#include "session/backoff.hpp"
#include "session/deadlines.hpp"

namespace ferry::detail {

[[nodiscard]] session::backoff backoff_of(const options& with);
[[nodiscard]] session::deadline_limits limits_of(const options& with);

/// "write_timeout: the peer took not a byte for 30s, 4096 bytes wait". Codes: timeout; idle for the idle ones.
[[nodiscard]] error describe_deadline(session::deadline which, const options& with, std::size_t waiting_bytes);
[[nodiscard]] error describe_too_large(std::size_t size, const options& with);
[[nodiscard]] error describe_no_type(std::uint16_t type, const char* framing);

}  // namespace ferry::detail
