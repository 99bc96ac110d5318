#pragma once
/// Whom a TLS connection leads to: what its certificate says, and whether it does.

#include <ferry/stream.hpp>

#include <openssl/ssl.h>

#include "net/tls_context.hpp"

namespace ferry::net {

/// What a handshake has come to. @param link  whose handshake is over
[[nodiscard]] tls_info describe_handshake(const tls_link& link);

/// Judges the peer's chain, the pins, and asks the program; for SSL_CTX_set_cert_verify_callback. Sets `refused` of the
/// link, and the error of which OpenSSL makes an alert.
int judge_peer(X509_STORE_CTX* chain, void*);

/// Whether its time is over.
[[nodiscard]] bool has_expired(const X509& certificate);

/// The same of a session that goes on, whose chain was judged before: the certificate's time, pins, and the program.
/// @return auth: the peer is not one that is allowed
[[nodiscard]] result<void> judge_resumed(const tls_link& link);

}  // namespace ferry::net
