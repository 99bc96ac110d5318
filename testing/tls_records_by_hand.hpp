#pragma once
/// Records of TLS 1.2 that no library would send.

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace ferry::test {

/// Seals what a client sends behind its handshake: TLS 1.2 with AES-128-GCM and SHA-256 (RFC 5246, 6.3; RFC 5288).
class tls_1_2_sealer {
 public:
  static constexpr const char* k_cipher = "ECDHE-ECDSA-AES128-GCM-SHA256";

  /// @param of  the client; its handshake is over, with k_cipher, and it has sent nothing since
  explicit tls_1_2_sealer(const SSL* of) {
    unsigned char master[SSL_MAX_MASTER_KEY_LENGTH];
    const std::size_t size = SSL_SESSION_get_master_key(SSL_get_session(of), master, sizeof master);
    std::string seed = "key expansion";
    unsigned char random[SSL3_RANDOM_SIZE];
    seed.append(reinterpret_cast<char*>(random), SSL_get_server_random(of, random, sizeof random));
    seed.append(reinterpret_cast<char*>(random), SSL_get_client_random(of, random, sizeof random));
    const std::unique_ptr<EVP_PKEY_CTX, freer> prf(EVP_PKEY_CTX_new_id(EVP_PKEY_TLS1_PRF, nullptr));
    unsigned char keys[k_key + k_key + k_salt];  // the client's key, the server's, what the client's nonces begin with
    std::size_t made = sizeof keys;
    check(EVP_PKEY_derive_init(prf.get()));
    check(EVP_PKEY_CTX_set_tls1_prf_md(prf.get(), EVP_sha256()));
    check(EVP_PKEY_CTX_set1_tls1_prf_secret(prf.get(), master, static_cast<int>(size)));
    check(EVP_PKEY_CTX_add1_tls1_prf_seed(prf.get(), reinterpret_cast<const unsigned char*>(seed.data()),
                                          static_cast<int>(seed.size())));
    check(EVP_PKEY_derive(prf.get(), keys, &made));
    key_.assign(reinterpret_cast<const char*>(keys), k_key);
    salt_.assign(reinterpret_cast<const char*>(keys) + 2 * k_key, k_salt);
  }

  /// One record, the next one.
  [[nodiscard]] std::string seal(int type, const std::string& payload) {
    const std::string number = big_endian(number_++, 8);
    const std::string kind = std::string(1, static_cast<char>(type)) + "\x03\x03";
    const std::string known = number + kind + big_endian(payload.size(), 2);
    const std::string nonce = salt_ + number;
    std::string sealed(payload.size() + k_tag, '\0');
    const std::unique_ptr<EVP_CIPHER_CTX, freer> cipher(EVP_CIPHER_CTX_new());
    int size = 0;
    check(EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, raw(key_), raw(nonce)));
    check(EVP_EncryptUpdate(cipher.get(), nullptr, &size, raw(known), static_cast<int>(known.size())));
    check(EVP_EncryptUpdate(cipher.get(), raw(sealed), &size, raw(payload), static_cast<int>(payload.size())));
    check(EVP_EncryptFinal_ex(cipher.get(), raw(sealed) + size, &size));
    check(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, k_tag, raw(sealed) + payload.size()));
    return kind + big_endian(number.size() + sealed.size(), 2) + number + sealed;
  }

 private:
  static constexpr std::size_t k_key = 16, k_salt = 4, k_tag = 16;
  struct freer {
    void operator()(EVP_PKEY_CTX* one) const { EVP_PKEY_CTX_free(one); }
    void operator()(EVP_CIPHER_CTX* one) const { EVP_CIPHER_CTX_free(one); }
  };
  static void check(int good) {
    if (good <= 0) throw std::runtime_error("OpenSSL could not seal a record");
  }
  static const unsigned char* raw(const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  }
  static unsigned char* raw(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
  static std::string big_endian(std::uint64_t value, int count) {
    std::string made;
    for (int i = count - 1; i >= 0; --i) made.push_back(static_cast<char>(value >> (8 * i)));
    return made;
  }

  std::string key_, salt_;
  std::uint64_t number_ = 1;  // that of the handshake's last record was 0
};

}  // namespace ferry::test
