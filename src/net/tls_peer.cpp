#include "net/tls_peer.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <exception>

#include "os/socket.hpp"

namespace ferry::net {
namespace {

struct bio_free {
  void operator()(BIO* one) const noexcept { BIO_free(one); }
};

/// What OpenSSL prints.
template <class Print>
std::string printed(Print print) {
  const std::unique_ptr<BIO, bio_free> out(BIO_new(BIO_s_mem()));
  if (!out) return {};
  print(out.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

std::string name_text(const X509_NAME* name) {
  return printed([&](BIO* out) { X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253); });
}

std::string time_text(const ASN1_TIME* time) {
  return printed([&](BIO* out) { ASN1_TIME_print(out, time); });
}

std::string certificate_fingerprint(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &size) != 1) return {};
  return hexadecimal(digest.data(), size);
}

std::string key_fingerprint(const X509& certificate) {
  unsigned char* der = nullptr;
  const int der_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  if (der_size <= 0) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const int done = EVP_Digest(der, static_cast<std::size_t>(der_size), digest.data(), &size, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  return done == 1 ? hexadecimal(digest.data(), size) : std::string();
}

void describe_certificate(const X509& certificate, tls_info& into) {
  into.subject = name_text(X509_get_subject_name(&certificate));
  into.issuer = name_text(X509_get_issuer_name(&certificate));
  into.certificate_sha256 = certificate_fingerprint(certificate);
  into.key_sha256 = key_fingerprint(certificate);
}

/// The names that a certificate is for, for people.
std::string names_of(const X509& certificate) {
  std::string all;
  auto* const names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const auto one = printed([&](BIO* out) { GENERAL_NAME_print(out, sk_GENERAL_NAME_value(names, i)); });
    all += (all.empty() ? "" : ", ") + one;
  }
  GENERAL_NAMES_free(names);
  return all.empty() ? "no name" : all;
}

/// Subjects come from the peer: one line, of a length that a log can take.
std::string tamed(std::string text) {
  constexpr std::size_t k_longest = 200;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
  if (text.size() > k_longest) text = text.substr(0, k_longest) + "...";
  return text;
}

std::string expired_text(const X509& certificate) {
  return "the peer's certificate '" + tamed(name_text(X509_get_subject_name(&certificate))) + "' expired on " +
         time_text(X509_get0_notAfter(&certificate)) + ": the peer must renew it";
}

std::string describe_fault(int fault, const X509& certificate, const tls_link& link) {
  const auto subject = "the peer's certificate '" + tamed(name_text(X509_get_subject_name(&certificate))) + "' ";
  const auto issuer = "'" + tamed(name_text(X509_get_issuer_name(&certificate))) + "'";
  switch (fault) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return expired_text(certificate);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return subject + "is valid only from " + time_text(X509_get0_notBefore(&certificate)) +
             ": look at the clocks of both machines";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return subject + "is for " + tamed(names_of(certificate)) + ", not for '" + link.host +
             "': connect by that name, or set tls_server_name";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return subject + "is self-signed: set tls_ca to a copy of it, or tls_verify=no and tls_pin to its fingerprint, " +
             "cert:" + certificate_fingerprint(certificate) + " if that is what the peer's owner tells you";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return subject + "comes from the CA " + issuer + ", which is not among ours: set tls_ca to that CA's certificate";
    default: return subject + "does not hold: " + X509_verify_cert_error_string(fault);
  }
}

/// Pins, then the program. The certificate is the peer's own.
result<void> judge_certificate(const X509& certificate, const tls_context& rules, bool resumed) {
  tls_info who;
  who.resumed = resumed;
  describe_certificate(certificate, who);
  const auto& pins = rules.pins();
  const bool pinned = std::any_of(pins.begin(), pins.end(), [&](const tls_pin& pin) {
    return pin.sha256 == (pin.of_key ? who.key_sha256 : who.certificate_sha256);
  });
  if (!pins.empty() && !pinned)
    return error(errc::auth, "the peer's certificate '" + tamed(who.subject) +
                                 "' is none of tls_pin: its fingerprints " + "are cert:" + who.certificate_sha256 +
                                 " and key:" + who.key_sha256);
  if (rules.settings().tls_check_peer && !rules.settings().tls_check_peer(who))
    return error(errc::auth, "the program refused the peer's certificate '" + tamed(who.subject) +
                                 "', cert:" + who.certificate_sha256);
  return {};
}

int judge(X509_STORE_CTX& chain, tls_link& link) {
  if (link.context->verify() != tls_verify_kind::no && X509_verify_cert(&chain) != 1) {
    const int fault = X509_STORE_CTX_get_error(&chain);
    const X509* at = X509_STORE_CTX_get_current_cert(&chain);
    if (at == nullptr) at = X509_STORE_CTX_get0_cert(&chain);
    link.refused = error(errc::auth, describe_fault(fault, *at, link));
    return 0;
  }
  if (const auto good = judge_certificate(*X509_STORE_CTX_get0_cert(&chain), *link.context, false); !good) {
    link.refused = good.error();
    X509_STORE_CTX_set_error(&chain, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
  }
  return 1;
}

}  // namespace

int judge_peer(X509_STORE_CTX* chain, void*) {
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& link = *static_cast<tls_link*>(SSL_get_app_data(ssl));
  try {
    return judge(*chain, link);
  } catch (const std::exception&) {  // must not pass through OpenSSL
    link.refused = error(errc::auth);
    X509_STORE_CTX_set_error(chain, X509_V_ERR_UNSPECIFIED);
    return 0;
  }
}

bool has_expired(const X509& certificate) { return X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0; }

result<void> judge_resumed(const tls_link& link) {
  const X509* const certificate = SSL_get0_peer_certificate(link.ssl.get());
  if (certificate == nullptr) return {};
  if (link.context->verify() != tls_verify_kind::no && has_expired(*certificate))
    return error(errc::auth, expired_text(*certificate));
  return judge_certificate(*certificate, *link.context, true);
}

tls_info describe_handshake(const tls_link& link) {
  const SSL* const ssl = link.ssl.get();
  tls_info made;
  made.version = SSL_get_version(ssl);
  made.cipher = SSL_get_cipher_name(ssl);
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  if (size != 0) made.alpn.assign(reinterpret_cast<const char*>(protocol), size);
  if (const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) made.server_name = name;
  made.resumed = SSL_session_reused(ssl) == 1;
  if (const X509* const certificate = SSL_get0_peer_certificate(ssl)) describe_certificate(*certificate, made);
  return made;
}

}  // namespace ferry::net
