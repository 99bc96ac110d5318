#pragma once
/// Certificates for a test, made when it runs; no key lies in the repository.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace ferry::test {

/// What a certificate is to say.
struct certificate_wish {
  std::string subject = "test host";
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";  ///< as OpenSSL's subjectAltName; empty: none
  long from = -3600;                                        ///< valid from, in seconds from now
  long to = 3600;                                           ///< valid until, in seconds from now
  bool self_signed = false;
  std::string password;  ///< of the key; empty: it is not encrypted
};

/// A CA with a key of its own (P-256). Throws std::runtime_error where OpenSSL fails.
class tls_authority {
 public:
  /// @param seconds  that it is valid for, before now and from now on
  explicit tls_authority(const std::string& name = "test CA", long seconds = 7200) : key_(make_key()) {
    certificate_ = made({name, "", -seconds, seconds, true, ""}, *key_, true);
  }

  /// Writes the certificate and its key to `path`, and this CA's certificate to `path`.ca.
  void issue(const std::string& path, const certificate_wish& wish) const {
    const auto key = make_key();
    const auto certificate = made(wish, *key, false);
    const file to(path, "w");
    check(PEM_write_X509(to.at, certificate.get()));
    const EVP_CIPHER* const cipher = wish.password.empty() ? nullptr : EVP_aes_256_cbc();
    const auto* const password = reinterpret_cast<const unsigned char*>(wish.password.data());
    check(PEM_write_PKCS8PrivateKey(to.at, key.get(), cipher, reinterpret_cast<const char*>(password),
                                    static_cast<int>(wish.password.size()), nullptr, nullptr));
    const file authority(path + ".ca", "w");
    check(PEM_write_X509(authority.at, certificate_.get()));
  }

 private:
  struct freer {
    void operator()(EVP_PKEY* one) const { EVP_PKEY_free(one); }
    void operator()(X509* one) const { X509_free(one); }
    void operator()(X509_EXTENSION* one) const { X509_EXTENSION_free(one); }
  };
  using key_ptr = std::unique_ptr<EVP_PKEY, freer>;
  using certificate_ptr = std::unique_ptr<X509, freer>;
  struct file {
    file(const std::string& path, const char* mode) : at(std::fopen(path.c_str(), mode)) { check(at != nullptr); }
    ~file() { std::fclose(at); }
    file(const file&) = delete;
    file& operator=(const file&) = delete;
    std::FILE* at;
  };

  static void check(long good) {
    if (good <= 0) throw std::runtime_error("OpenSSL could not make a certificate");
  }
  static key_ptr make_key() {
    key_ptr made(EVP_EC_gen("P-256"));
    check(made != nullptr);
    return made;
  }
  static void extend(X509& certificate, int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, freer> one(X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
    check(one != nullptr);
    check(X509_add_ext(&certificate, one.get(), -1));
  }

  [[nodiscard]] certificate_ptr made(const certificate_wish& wish, EVP_PKEY& key, bool is_authority) const {
    certificate_ptr one(X509_new());
    std::uint32_t serial = 0;
    check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial));
    check(X509_set_version(one.get(), 2));
    check(ASN1_INTEGER_set_uint64(X509_get_serialNumber(one.get()), serial));
    X509_gmtime_adj(X509_getm_notBefore(one.get()), wish.from);
    X509_gmtime_adj(X509_getm_notAfter(one.get()), wish.to);
    check(X509_set_pubkey(one.get(), &key));
    X509_NAME* const subject = X509_get_subject_name(one.get());
    check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(wish.subject.c_str()), -1, -1, 0));
    check(X509_set_issuer_name(one.get(), wish.self_signed ? subject : X509_get_subject_name(certificate_.get())));
    if (is_authority) extend(*one, NID_basic_constraints, "critical,CA:TRUE");
    if (!wish.names.empty()) extend(*one, NID_subject_alt_name, wish.names);
    check(X509_sign(one.get(), wish.self_signed ? &key : key_.get(), EVP_sha256()));
    return one;
  }

  key_ptr key_;
  certificate_ptr certificate_;
};

}  // namespace ferry::test
