#include "net/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "net/tls_error.hpp"
#include "net/tls_peer.hpp"
#include "os/socket.hpp"

namespace ferry::net {
namespace {

constexpr std::size_t k_read_ahead = 64u << 10;
constexpr unsigned char k_session_context[] = "ferry";

tls_verify_kind decided(tls_role role, const options& with) {
  if (with.tls_verify != tls_verify_kind::automatic) return with.tls_verify;
  return role == tls_role::connect || !with.tls_ca.empty() ? tls_verify_kind::yes : tls_verify_kind::no;
}

error bad(const std::string& option, const std::string& value, const std::string& why) {
  return {errc::bad_option, option + "=" + value + ": " + why};
}

result<void> check_readable(const std::string& option, const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return error::from_errno(errno, option + "=" + path);
  if (!std::ifstream(path)) return error::from_errno(EACCES, option + "=" + path);
  return {};
}

/// Whom the password of a key is asked of. OpenSSL's own way would be to ask at the terminal.
struct password_source {
  const options& with;
  const std::string& key_file;
  bool asked = false;

  [[nodiscard]] std::string find() {
    asked = true;
    if (with.tls_key_password) return with.tls_key_password(key_file);
    std::string line;
    if (!with.tls_key_password_file.empty()) {
      std::ifstream file(with.tls_key_password_file);
      std::getline(file, line);
    }
    return line;
  }
};

int give_password(char* into, int size, int, void* source) {
  std::string password;
  try {
    password = static_cast<password_source*>(source)->find();
  } catch (const std::exception&) {
    return -1;
  }
  if (password.empty() || password.size() > static_cast<std::size_t>(size)) return -1;
  // NOLINTNEXTLINE(bugprone-not-null-terminated-result): OpenSSL is told the length
  std::memcpy(into, password.data(), password.size());
  const auto length = static_cast<int>(password.size());
  OPENSSL_cleanse(password.data(), password.size());
  return length;
}

int keep_new_session(SSL* ssl, SSL_SESSION* session) {
  const auto* link = static_cast<const tls_link*>(SSL_get_app_data(ssl));
  try {
    link->context->keep_session(link->session_key, ssl_session_ptr(session));
  } catch (const std::bad_alloc&) {
    // It was freed with what could not be kept; the next handshake is a whole one.
  }
  return 1;
}

// "*" is a whole label, and what the subject says is no name (RFC 9525, 6.3 and 2).
constexpr unsigned k_name_rules = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

bool is_for(SSL_CTX& one, const char* name) {
  X509* const certificate = SSL_CTX_get0_certificate(&one);
  return certificate != nullptr && X509_check_host(certificate, name, 0, k_name_rules, nullptr) == 1;
}

}  // namespace

// Files -------------------------------------------------------------------------------------------

tls_files::tls_files(const options& with) {
  for (const auto& list : {with.tls_certificate, with.tls_key})
    for (auto& path : split_list(list, ',')) stamps_.push_back(look(std::move(path)));
  for (const auto& path : {with.tls_ca, with.tls_key_password_file})
    if (!path.empty()) stamps_.push_back(look(path));
}

tls_files::stamp tls_files::look(std::string path) {
  struct stat found {};
  stamp made{std::move(path)};
  if (::stat(made.path.c_str(), &found) != 0) return made;
  made.device = found.st_dev;
  made.inode = found.st_ino;
  made.size = found.st_size;
  made.modified = std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec;
  return made;
}

bool tls_files::changed() {
  bool any = false;
  for (auto& one : stamps_) {
    stamp now = look(one.path);
    if (now == one) continue;
    one = std::move(now);
    any = true;
  }
  return any;
}

// Settings ----------------------------------------------------------------------------------------

tls_context::tls_context(tls_role role, const options& with)
    : role_(role),
      with_(with),
      verify_(decided(role, with)),
      pins_(parse_tls_pins(with.tls_pin).value_or(std::vector<tls_pin>())),
      protocols_(tls_protocol_list(with.tls_alpn).value_or(std::string())) {}

result<std::shared_ptr<tls_context>> tls_context::make(tls_role role, const options& with) {
  auto made = std::make_shared<tls_context>(role, with);
  ERR_clear_error();
  if (const auto loaded = made->load(); !loaded) return loaded.error();
  return made;
}

result<void> tls_context::load() {
  const auto certificates = split_list(with_.tls_certificate, ',');
  const auto keys = split_list(with_.tls_key, ',');
  if (role_ == tls_role::listen && certificates.empty())
    return error(errc::bad_option,
                 "tls_certificate: listening on tls needs a certificate, tls_certificate=FILE and "
                 "tls_key=FILE; docs/tls.md says how to make one");
  if (role_ == tls_role::connect && certificates.size() > 1)
    return bad("tls_certificate", with_.tls_certificate, "who connects has one certificate");
  if (role_ == tls_role::connect && verify_ == tls_verify_kind::optional)
    return bad("tls_verify", "optional", "is for who listens; must be yes or no when connecting");
  if (!keys.empty() && keys.size() != certificates.size())
    return bad("tls_key", with_.tls_key,
               "must name one key for each of the " + std::to_string(certificates.size()) +
                   " certificates of tls_certificate");
  for (std::size_t i = 0; i < std::max<std::size_t>(certificates.size(), 1); ++i) {
    auto one = make_one();
    if (!one) return one.error();
    if (i < certificates.size()) {
      const auto done = load_certificate(**one, certificates[i], keys.empty() ? certificates[i] : keys[i]);
      if (!done) return done.error();
    }
    each_.push_back(std::move(*one));
  }
  return {};
}

result<ssl_ctx_ptr> tls_context::make_one() {
  ssl_ctx_ptr one(SSL_CTX_new(role_ == tls_role::listen ? TLS_server_method() : TLS_client_method()));
  if (!one) return error(errc::no_memory, "no TLS context: " + take_tls_reason());
  SSL_CTX_set_min_proto_version(one.get(),
                                with_.tls_min == tls_version_kind::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(one.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
  // A record's header and body, and several records, come in one read.
  SSL_CTX_set_read_ahead(one.get(), 1);
  SSL_CTX_set_default_read_buffer_len(one.get(), k_read_ahead);
  if (const auto done = set_ciphers(*one); !done) return done.error();

  const bool judges = verify_ != tls_verify_kind::no || !pins_.empty() || with_.tls_check_peer;
  const bool must = role_ == tls_role::listen && judges && verify_ != tls_verify_kind::optional;
  SSL_CTX_set_verify(
      one.get(), judges ? SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0) : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_cert_verify_callback(one.get(), &judge_peer, nullptr);
  if (verify_ != tls_verify_kind::no)
    if (const auto done = load_authorities(*one); !done) return done.error();

  if (!protocols_.empty() && role_ == tls_role::connect)
    SSL_CTX_set_alpn_protos(one.get(), reinterpret_cast<const unsigned char*>(protocols_.data()),
                            static_cast<unsigned int>(protocols_.size()));
  if (!protocols_.empty() && role_ == tls_role::listen)
    SSL_CTX_set_alpn_select_cb(one.get(), &tls_context::choose_protocol, this);
  if (role_ == tls_role::listen) {
    SSL_CTX_set_tlsext_servername_callback(one.get(), &tls_context::choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(one.get(), this);
  }
  set_sessions(*one);
  return one;
}

// OpenSSL has one list for TLS 1.3 and another for what is older; the names tell which is meant.
result<void> tls_context::set_ciphers(SSL_CTX& one) const {
  std::string suites;
  std::string older;
  for (const auto& name : split_list(with_.tls_ciphers, ':')) {
    std::string& list = name.starts_with("TLS_") ? suites : older;
    list += (list.empty() ? "" : ":") + name;
  }
  const bool good = (suites.empty() || SSL_CTX_set_ciphersuites(&one, suites.c_str()) == 1) &&
                    (older.empty() || SSL_CTX_set_cipher_list(&one, older.c_str()) == 1);
  if (good) return {};
  return bad("tls_ciphers", with_.tls_ciphers, take_tls_reason() + "; `openssl ciphers -v` lists the names");
}

result<void> tls_context::load_certificate(SSL_CTX& one, const std::string& certificate, const std::string& key) {
  if (const auto there = check_readable("tls_certificate", certificate); !there) return there.error();
  if (const auto there = check_readable("tls_key", key); !there) return there.error();
  if (SSL_CTX_use_certificate_chain_file(&one, certificate.c_str()) != 1)
    return bad("tls_certificate", certificate, "no certificate in PEM form could be read: " + take_tls_reason());
  password_source source{with_, key};
  SSL_CTX_set_default_passwd_cb(&one, &give_password);
  SSL_CTX_set_default_passwd_cb_userdata(&one, &source);
  const bool read = SSL_CTX_use_PrivateKey_file(&one, key.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(&one, nullptr);
  if (!read && source.asked)
    return bad("tls_key", key,
               "is encrypted and was not opened by the password: set tls_key_password_file, or the "
               "member tls_key_password (" +
                   take_tls_reason() + ")");
  if (!read || SSL_CTX_check_private_key(&one) != 1)
    return bad("tls_key", key, "is not the key of " + certificate + ": " + take_tls_reason());
  return {};
}

result<void> tls_context::load_authorities(SSL_CTX& one) const {
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(&one), X509_V_FLAG_PARTIAL_CHAIN);
  if (with_.tls_ca.empty()) {
    if (SSL_CTX_set_default_verify_paths(&one) == 1) return {};
    return error(errc::bad_option, "the system's CAs could not be read (" + take_tls_reason() + "): set tls_ca");
  }
  struct stat found {};
  if (::stat(with_.tls_ca.c_str(), &found) != 0) return error::from_errno(errno, "tls_ca=" + with_.tls_ca);
  const bool read = S_ISDIR(found.st_mode) ? SSL_CTX_load_verify_dir(&one, with_.tls_ca.c_str()) == 1
                                           : SSL_CTX_load_verify_file(&one, with_.tls_ca.c_str()) == 1;
  if (!read) return bad("tls_ca", with_.tls_ca, "no CA in PEM form could be read: " + take_tls_reason());
  if (role_ == tls_role::listen && !S_ISDIR(found.st_mode))
    SSL_CTX_set_client_CA_list(&one, SSL_load_client_CA_file(with_.tls_ca.c_str()));
  return {};
}

// The listening end keeps nothing: its sessions are in the tickets, sealed with keys that live as long as this context.
void tls_context::set_sessions(SSL_CTX& one) const {
  SSL_CTX_set_session_id_context(&one, k_session_context, sizeof k_session_context - 1);
  SSL_CTX_set_session_cache_mode(&one, SSL_SESS_CACHE_OFF);
  if (!with_.tls_resume) {
    SSL_CTX_set_options(&one, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(&one, 0);
  } else if (role_ == tls_role::connect) {
    SSL_CTX_set_session_cache_mode(&one, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(&one, &keep_new_session);
  }
}

// Connections -------------------------------------------------------------------------------------

result<std::unique_ptr<tls_link>> tls_context::start(std::string_view host, std::uint16_t port) const {
  auto link = std::make_unique<tls_link>();
  link->context = shared_from_this();
  link->ssl.reset(SSL_new(each_.front().get()));
  if (!link->ssl) return error(errc::no_memory, "no TLS connection: " + take_tls_reason());
  SSL* const ssl = link->ssl.get();
  SSL_set_app_data(ssl, link.get());
  if (role_ == tls_role::listen) {
    SSL_set_accept_state(ssl);
    return link;
  }
  SSL_set_connect_state(ssl);
  link->host = with_.tls_server_name.empty() ? std::string(host) : with_.tls_server_name;
  link->session_key = std::string(host) + ":" + std::to_string(port);
  SSL_set_hostflags(ssl, k_name_rules);
  const bool is_address = os::is_literal(link->host);
  if (is_address) {
    const std::string plain = link->host.substr(0, link->host.find('%'));
    // Without one to compare with, every certificate would do.
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), plain.c_str()) != 1 && verify_ != tls_verify_kind::no)
      return bad("tls_server_name", link->host, "is no name or address that a certificate can have");
  } else if (link->host.starts_with('.')) {  // OpenSSL would take every certificate below it
    return bad("tls_server_name", link->host, "is not a host name");
  } else if (SSL_set1_host(ssl, link->host.c_str()) != 1 || SSL_set_tlsext_host_name(ssl, link->host.c_str()) != 1) {
    return bad("tls_server_name", link->host, "is not a host name: " + take_tls_reason());
  }
  prefer_kept_session(*link);
  return link;
}

void tls_context::prefer_kept_session(tls_link& link) const {
  const std::lock_guard guard(lock_);
  const auto found = kept_.find(link.session_key);
  if (found == kept_.end()) return;
  SSL_SESSION* const session = found->second.get();
  const X509* const certificate = SSL_SESSION_get0_peer(session);
  // Its holder may have another one by now, which only a handshake in full shows.
  const bool expired = certificate != nullptr && verify_ != tls_verify_kind::no && has_expired(*certificate);
  if (!expired && SSL_SESSION_is_resumable(session) == 1) SSL_set_session(link.ssl.get(), session);
  kept_.erase(found);  // a ticket is used once (RFC 8446, C.4); the next ones come with this connection
}

void tls_context::keep_session(const std::string& key, ssl_session_ptr session) const {
  const std::lock_guard guard(lock_);
  if (kept_.size() >= k_sessions && !kept_.contains(key)) kept_.erase(kept_.begin());
  kept_.insert_or_assign(key, std::move(session));
}

std::size_t tls_context::sessions() const {
  const std::lock_guard guard(lock_);
  return kept_.size();
}

int tls_context::choose_certificate(SSL* ssl, int*, void* self) {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  for (const auto& one : static_cast<const tls_context*>(self)->each_) {
    if (!is_for(*one, name)) continue;
    SSL_set_SSL_CTX(ssl, one.get());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;  // the first one answers: whether that will do is for the client to say
}

int tls_context::choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                                 unsigned int offered_size, void* self) {
  const std::string& ours = static_cast<const tls_context*>(self)->protocols_;
  unsigned char* found = nullptr;
  const int outcome = SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                                            static_cast<unsigned int>(ours.size()), offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace ferry::net
