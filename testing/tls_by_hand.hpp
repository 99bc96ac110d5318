#pragma once
/// A TLS peer that a test plays itself, with OpenSSL alone. Nothing blocks: what has to be waited for is asked for
/// again and again, while the test turns the other side.

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "os/unique_fd.hpp"
#include "testing/tcp_by_hand.hpp"

namespace ferry::test {

class raw_tls {
 public:
  /// Connects to a listener on 127.0.0.1.
  explicit raw_tls(std::uint16_t port) : raw_tls(connected(port), TLS_client_method()) { SSL_set_connect_state(ssl()); }
  /// Answers on a socket that is connected. @param identity  file with a certificate and its key
  raw_tls(os::unique_fd fd, const std::string& identity) : raw_tls(std::move(fd), TLS_server_method()) {
    SSL_use_certificate_file(ssl(), identity.c_str(), SSL_FILETYPE_PEM);
    SSL_use_PrivateKey_file(ssl(), identity.c_str(), SSL_FILETYPE_PEM);
    SSL_set_accept_state(ssl());
  }

  /// For settings before the handshake, and questions after it.
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }
  /// Whether the handshake is over, in order or not.
  [[nodiscard]] bool shaken() {
    if (reason_ != 0) return true;
    const int outcome = SSL_do_handshake(ssl());
    return outcome == 1 || failed(outcome);
  }
  bool send(std::string_view text) { return SSL_write(ssl(), text.data(), static_cast<int>(text.size())) > 0; }
  /// All that has come.
  const std::string& received() {
    char buffer[16384];
    for (;;) {
      const int n = SSL_read(ssl(), buffer, sizeof buffer);
      if (n <= 0) return failed(n), text_;
      text_.append(buffer, static_cast<std::size_t>(n));
    }
  }
  /// The peer has sent close_notify.
  [[nodiscard]] bool told_end() {
    (void)received();
    return (SSL_get_shutdown(ssl()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  /// OpenSSL's reason why it is over; SSL_R_... or 1000 and the alert that came; 0: it is not.
  [[nodiscard]] int reason() const { return reason_; }
  /// The connection is over, in whatever way.
  [[nodiscard]] bool ended() {
    (void)received();
    return reason_ != 0 || broken_ || SSL_get_shutdown(ssl()) != 0;
  }
  /// Asks the peer for new keys (TLS 1.3). @return false: the last question is not out yet
  bool ask_for_new_keys() {
    const bool asked = SSL_key_update(ssl(), SSL_KEY_UPDATE_REQUESTED) == 1;
    const int outcome = SSL_do_handshake(ssl());
    if (outcome != 1) (void)failed(outcome);
    return asked;
  }
  /// Ends the connection without close_notify.
  void hang_up() { fd_.reset(); }

 private:
  struct freer {
    void operator()(SSL* one) const { SSL_free(one); }
    void operator()(SSL_CTX* one) const { SSL_CTX_free(one); }
    void operator()(BIO_METHOD* one) const { BIO_meth_free(one); }
  };

  raw_tls(os::unique_fd fd, const SSL_METHOD* method)
      : fd_(std::move(fd)), context_(SSL_CTX_new(method)), ssl_(SSL_new(context_.get())) {
    BIO* const socket = BIO_new(without_signals());
    BIO_set_fd(socket, fd_.get(), BIO_NOCLOSE);
    SSL_set_bio(ssl(), socket, socket);
  }
  /// OpenSSL's socket, whose write() would end the test with SIGPIPE where the peer has hung up.
  static const BIO_METHOD* without_signals() {
    static const std::unique_ptr<BIO_METHOD, freer> method = [] {
      std::unique_ptr<BIO_METHOD, freer> made(BIO_meth_new(BIO_TYPE_SOCKET, "socket without signals"));
      BIO_meth_set_read(made.get(), BIO_meth_get_read(BIO_s_socket()));
      BIO_meth_set_ctrl(made.get(), BIO_meth_get_ctrl(BIO_s_socket()));
      BIO_meth_set_create(made.get(), BIO_meth_get_create(BIO_s_socket()));
      BIO_meth_set_destroy(made.get(), BIO_meth_get_destroy(BIO_s_socket()));
      BIO_meth_set_write(made.get(), [](BIO* to, const char* data, int size) {
        const auto fd = static_cast<int>(BIO_get_fd(to, nullptr));
        const auto n = static_cast<int>(::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL));
        BIO_clear_retry_flags(to);
        if (n <= 0 && BIO_sock_should_retry(n) != 0) BIO_set_retry_write(to);
        return n;
      });
      return made;
    }();
    return method.get();
  }
  static os::unique_fd connected(std::uint16_t port) {
    os::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = raw_tcp::loopback(port);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) raw_tcp::fail("connect");
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
  }
  bool failed(int outcome) {
    const int why = SSL_get_error(ssl(), outcome);
    if (why == SSL_ERROR_SSL) reason_ = ERR_GET_REASON(ERR_peek_error());
    broken_ = broken_ || why == SSL_ERROR_SYSCALL;
    ERR_clear_error();
    return reason_ != 0;
  }

  os::unique_fd fd_;
  std::unique_ptr<SSL_CTX, freer> context_;
  std::unique_ptr<SSL, freer> ssl_;
  std::string text_;
  int reason_ = 0;
  bool broken_ = false;
};

}  // namespace ferry::test
