#pragma once
/// What OpenSSL says, as errors that say what to do.

#include <ferry/error.hpp>

#include <string>

namespace ferry::net {

struct tls_link;

/// Why an operation failed of which SSL_get_error says SSL_ERROR_SSL: the oldest error of this thread's queue, which is
/// empty afterwards. Codes: auth (a certificate), truncated (the end without close_notify), reset (the same inside the
/// handshake), unsupported (versions, ciphers, protocols that do not meet), corrupt (bytes changed on the way),
/// protocol.
[[nodiscard]] error take_tls_error(const tls_link& link) noexcept;

/// The reason at the front of this thread's queue, for files and settings; the queue is empty afterwards.
[[nodiscard]] std::string take_tls_reason();

}  // namespace ferry::net
