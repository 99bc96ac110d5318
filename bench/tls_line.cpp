#include "bench/tls_line.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>

namespace ferry::bench {
namespace {

struct freer {
  void operator()(SSL* one) const { SSL_free(one); }
  void operator()(SSL_CTX* one) const { SSL_CTX_free(one); }
  void operator()(EVP_PKEY* one) const { EVP_PKEY_free(one); }
  void operator()(X509* one) const { X509_free(one); }
  void operator()(X509_EXTENSION* one) const { X509_EXTENSION_free(one); }
};

/// Self-signed, for 127.0.0.1 and an hour.
struct identity {
  std::unique_ptr<EVP_PKEY, freer> key{EVP_EC_gen("P-256")};
  std::unique_ptr<X509, freer> certificate{X509_new()};
  bool good = false;

  identity() {
    const std::unique_ptr<X509_EXTENSION, freer> host(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1"));
    if (!key || !certificate || !host) return;
    X509* const made = certificate.get();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, key.get());
    good = X509_add_ext(made, host.get(), -1) == 1 && X509_sign(made, key.get(), EVP_sha256()) > 0;
  }
};

bool make_identity(SSL_CTX& context) {
  const identity made;
  return made.good && SSL_CTX_use_certificate(&context, made.certificate.get()) == 1 &&
         SSL_CTX_use_PrivateKey(&context, made.key.get()) == 1;
}

}  // namespace

struct tls_line::parts {
  child& me;
  std::unique_ptr<SSL_CTX, freer> context;
  std::unique_ptr<SSL, freer> ssl;

  void check(bool good, const char* what) const {
    if (!good) me.fail(errc::protocol, what);
  }
};

bool tls_line::available() noexcept { return true; }

tls_line::tls_line(child& me, int fd, bool answers)
    : parts_(new parts{
          me, decltype(parts::context)(SSL_CTX_new(answers ? TLS_server_method() : TLS_client_method())), {}}) {
  parts_->check(parts_->context != nullptr && (!answers || make_identity(*parts_->context)), "make a TLS context");
  SSL_CTX_set_num_tickets(parts_->context.get(), 0);  // the end that only writes would leave them unread
  parts_->ssl.reset(SSL_new(parts_->context.get()));
  parts_->check(parts_->ssl != nullptr && SSL_set_fd(parts_->ssl.get(), fd) == 1, "make a TLS connection");
  parts_->check((answers ? SSL_accept(parts_->ssl.get()) : SSL_connect(parts_->ssl.get())) == 1, "shake hands");
}

tls_line::~tls_line() = default;

void tls_line::write_all(const std::byte* from, std::size_t size) noexcept {
  std::size_t taken = 0;
  parts_->check(SSL_write_ex(parts_->ssl.get(), from, size, &taken) == 1 && taken == size, "SSL_write");
}

std::size_t tls_line::read_some(std::byte* into, std::size_t room) noexcept {
  std::size_t got = 0;
  if (SSL_read_ex(parts_->ssl.get(), into, room, &got) == 1) return got;
  parts_->check(SSL_get_error(parts_->ssl.get(), 0) == SSL_ERROR_ZERO_RETURN, "SSL_read");
  return 0;
}

void tls_line::end() noexcept { SSL_shutdown(parts_->ssl.get()); }

bool write_certificate(const std::string& path) {
  const identity made;
  if (!made.good) return false;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  std::FILE* const to = fd < 0 ? nullptr : ::fdopen(fd, "w");
  if (to == nullptr) {
    if (fd >= 0) ::close(fd);
    return false;
  }
  const bool written = PEM_write_X509(to, made.certificate.get()) == 1 &&
                       PEM_write_PrivateKey(to, made.key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  return std::fclose(to) == 0 && written;
}

}  // namespace ferry::bench
