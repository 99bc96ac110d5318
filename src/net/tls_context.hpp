#pragma once
/// What a role needs of OpenSSL: certificates, keys, trust and rules, read from the files that the options name.
/// Source: docs/tls.md.

#include <ferry/error.hpp>
#include <ferry/options.hpp>

#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/tls_names.hpp"

namespace ferry::net {

/// OpenSSL's objects, freed by their own functions.
struct tls_free {
  void operator()(SSL* one) const noexcept { SSL_free(one); }
  void operator()(SSL_CTX* one) const noexcept { SSL_CTX_free(one); }
  void operator()(SSL_SESSION* one) const noexcept { SSL_SESSION_free(one); }
  void operator()(X509* one) const noexcept { X509_free(one); }
};
using ssl_ptr = std::unique_ptr<SSL, tls_free>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, tls_free>;
using ssl_session_ptr = std::unique_ptr<SSL_SESSION, tls_free>;

enum class tls_role : std::uint8_t { connect, listen };

class tls_context;

/// One connection's part. Its address must not change: OpenSSL's callbacks find it by its SSL.
struct tls_link {
  std::shared_ptr<const tls_context> context;
  std::string host;              ///< that is connected to, and that the certificate must be for; empty when listening
  std::string session_key;       ///< under which its sessions are kept
  std::optional<error> refused;  ///< why the peer's certificate does not do
  bool established = false;      ///< the handshake is over
  ssl_ptr ssl;
};

/// The files that options name, as they are at some time: any change of one shows.
class tls_files {
 public:
  explicit tls_files(const options& with);
  /// Looks again. @return whether anything has changed since the last time
  [[nodiscard]] bool changed();

 private:
  struct stamp {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;  // no such file
    std::int64_t modified = 0;
    bool operator==(const stamp&) const = default;
  };
  static stamp look(std::string path);
  std::vector<stamp> stamps_;
};

/// Thread safety: any thread, for links of its own.
class tls_context : public std::enable_shared_from_this<tls_context> {
 public:
  /// Reads the files. @return bad_option with the option and what to do | not_found | permission
  [[nodiscard]] static result<std::shared_ptr<tls_context>> make(tls_role role, const options& with);

  /// A new connection, on which nothing has happened. @param host  where to, when connecting; a name, or an address
  [[nodiscard]] result<std::unique_ptr<tls_link>> start(std::string_view host, std::uint16_t port) const;

  [[nodiscard]] bool listens() const noexcept { return role_ == tls_role::listen; }
  /// Whether the peer must show a certificate whose chain holds; tls_verify, with `automatic` decided.
  [[nodiscard]] tls_verify_kind verify() const noexcept { return verify_; }
  [[nodiscard]] const std::vector<tls_pin>& pins() const noexcept { return pins_; }
  [[nodiscard]] const options& settings() const noexcept { return with_; }

  /// Keeps a session for the next connection with this key; at most k_sessions of them.
  void keep_session(const std::string& key, ssl_session_ptr session) const;
  [[nodiscard]] std::size_t sessions() const;

  static constexpr std::size_t k_sessions = 256;

  tls_context(tls_role role, const options& with);

 private:
  [[nodiscard]] result<void> load();
  [[nodiscard]] result<ssl_ctx_ptr> make_one();
  [[nodiscard]] result<void> set_ciphers(SSL_CTX& one) const;
  [[nodiscard]] result<void> load_certificate(SSL_CTX& one, const std::string& certificate, const std::string& key);
  [[nodiscard]] result<void> load_authorities(SSL_CTX& one) const;
  void set_sessions(SSL_CTX& one) const;
  void prefer_kept_session(tls_link& link) const;
  static int choose_certificate(SSL* ssl, int* alert, void* self);
  static int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                             unsigned int offered_size, void* self);

  const tls_role role_;
  const options with_;
  const tls_verify_kind verify_;
  std::vector<tls_pin> pins_;
  std::string protocols_;          // as RFC 7301 writes them
  std::vector<ssl_ctx_ptr> each_;  // one for each certificate; the first one begins every connection
  mutable std::mutex lock_;
  mutable std::map<std::string, ssl_session_ptr, std::less<>> kept_;  // guarded by lock_
};

}  // namespace ferry::net
