#pragma once
/// TLS on a connected socket with nothing but OpenSSL.

#include <cstddef>
#include <memory>
#include <string>

#include "bench/child.hpp"

namespace ferry::bench {

/// Everything blocks, and the child fails if it does not work. The certificate is made on the spot and not looked at.
class tls_line {
 public:
  /// False in a build without TLS, where nothing else here may be used.
  [[nodiscard]] static bool available() noexcept;

  /// Shakes hands. @param answers  is the end with the certificate
  tls_line(child& me, int fd, bool answers);
  ~tls_line();
  tls_line(const tls_line&) = delete;
  tls_line& operator=(const tls_line&) = delete;

  void write_all(const std::byte* from, std::size_t size) noexcept;
  /// At least one byte; 0 at the end.
  [[nodiscard]] std::size_t read_some(std::byte* into, std::size_t room) noexcept;
  /// Says that nothing follows.
  void end() noexcept;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// Writes a self-signed certificate of 127.0.0.1, good for an hour, and its key into a new file that nobody else may
/// read. @return false: that failed, or this is a build without TLS
[[nodiscard]] bool write_certificate(const std::string& path);

}  // namespace ferry::bench
