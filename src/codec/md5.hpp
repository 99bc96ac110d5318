#pragma once
/// MD5 (RFC 1321), for protocols that ask for it. It proves nothing to somebody who wants to deceive.

#include <ferry/bytes.hpp>

#include <array>

namespace ferry::codec {

/// Of `a` and `b` behind each other.
[[nodiscard]] std::array<std::byte, 16> md5(bytes a, bytes b = {}) noexcept;

}  // namespace ferry::codec
