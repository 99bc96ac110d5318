#include "net/tls_error.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>

#include "net/tls_context.hpp"

namespace ferry::net {
namespace {

constexpr int k_alert = SSL_AD_REASON_OFFSET;  // what the peer has told us

struct row {
  int reason;
  errc code;
  const char* text;
};

// What both ends, or one of them, can do about it.
constexpr std::array k_rows{
    row{SSL_R_WRONG_VERSION_NUMBER, errc::protocol,
        "what came is no TLS: is the other end plain text? It must be tls:// on both ends"},
    row{SSL_R_HTTP_REQUEST, errc::protocol,
        "a plain HTTP request came to a port that speaks TLS: ask with https, or use another port"},
    row{SSL_R_HTTPS_PROXY_REQUEST, errc::protocol,
        "a request for an HTTP proxy came to a port that speaks TLS: no proxy is here"},
    row{SSL_R_UNSUPPORTED_PROTOCOL, errc::unsupported,
        "the peer speaks no version of TLS that is allowed here: see tls_min on both ends"},
    row{SSL_R_VERSION_TOO_LOW, errc::unsupported,
        "the peer speaks no version of TLS that is allowed here: see tls_min on both ends"},
    row{SSL_R_NO_SHARED_CIPHER, errc::unsupported,
        "both ends have no cipher in common: see tls_ciphers on both, and the kind of the certificate's key"},
    row{SSL_R_NO_APPLICATION_PROTOCOL, errc::unsupported,
        "both ends have no application protocol in common: see tls_alpn on both"},
    row{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, errc::auth,
        "the peer showed no certificate: it needs tls_certificate and tls_key, or here tls_verify=optional"},
    row{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, errc::corrupt,
        "bytes were changed on the way: a record is not genuine"},
    row{SSL_R_BAD_SIGNATURE, errc::auth, "the peer does not hold the key of its certificate"},
    row{k_alert + SSL_AD_PROTOCOL_VERSION, errc::unsupported,
        "the peer allows no version of TLS that is spoken here: see tls_min on both ends"},
    row{k_alert + SSL_AD_HANDSHAKE_FAILURE, errc::unsupported,
        "the peer found nothing in common, or wants a certificate: see tls_ciphers, tls_certificate and its log"},
    row{k_alert + SSL_AD_INSUFFICIENT_SECURITY, errc::unsupported,
        "the peer wants stronger ciphers: see tls_ciphers on both ends"},
    row{k_alert + SSL_AD_NO_APPLICATION_PROTOCOL, errc::unsupported,
        "the peer has no application protocol in common with us: see tls_alpn on both"},
    row{k_alert + SSL_AD_UNRECOGNIZED_NAME, errc::auth,
        "the peer does not know the name that it was asked for: see tls_server_name"},
    row{k_alert + SSL_AD_UNKNOWN_CA, errc::auth,
        "the peer does not know the CA of our certificate: its tls_ca needs that CA, our tls_certificate what leads to "
        "it"},
    row{k_alert + SSL_AD_BAD_CERTIFICATE, errc::auth, "the peer refused our certificate: its log says why"},
    row{k_alert + SSL_AD_UNSUPPORTED_CERTIFICATE, errc::auth,
        "the peer refused our certificate: it is of a kind that is not for this use"},
    row{k_alert + SSL_AD_CERTIFICATE_REVOKED, errc::auth, "the peer refused our certificate: it was revoked"},
    row{k_alert + SSL_AD_CERTIFICATE_EXPIRED, errc::auth,
        "the peer refused our certificate: it has expired, renew tls_certificate"},
    row{k_alert + SSL_AD_CERTIFICATE_UNKNOWN, errc::auth, "the peer refused our certificate: its log says why"},
    row{k_alert + SSL_AD_ACCESS_DENIED, errc::auth, "the peer refused our certificate: its log says why"},
    row{k_alert + SSL_AD_CERTIFICATE_REQUIRED, errc::auth,
        "the peer wants a certificate of us: set tls_certificate and tls_key"},
};

std::string reason_text(unsigned long code) {
  const char* const text = ERR_reason_error_string(code);
  return text != nullptr ? text : "error " + std::to_string(ERR_GET_REASON(code)) + " of OpenSSL";
}

error ended_early(const tls_link& link) {
  if (link.established)
    return {errc::truncated,
            "the connection ended without close_notify: the peer died, or what it sent was cut off on the way"};
  return {errc::reset,
          "the peer ended the connection inside the TLS handshake: it speaks no TLS, or refused without "
          "saying why; its log may tell"};
}

error describe(unsigned long code, const tls_link& link) {
  const int reason = ERR_GET_REASON(code);
  if (link.refused) return *link.refused;
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) return ended_early(link);
  const auto* found = std::find_if(k_rows.begin(), k_rows.end(), [&](const row& r) { return r.reason == reason; });
  if (found != k_rows.end()) return {found->code, std::string("TLS: ") + found->text};
  return {errc::protocol, "TLS: " + reason_text(code)};
}

}  // namespace

error take_tls_error(const tls_link& link) noexcept {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  try {
    return describe(code, link);
  } catch (const std::bad_alloc&) {
    return errc::protocol;
  }
}

std::string take_tls_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  return code == 0 ? "no reason given" : reason_text(code);
}

}  // namespace ferry::net
