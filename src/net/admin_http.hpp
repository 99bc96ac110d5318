#pragma once
/// A small HTTP server for operators: GET of a few pages, one request a connection. Source: RFC 9112; docs/gateway.md,
/// docs/sidecar.md.

#include <ferry/context.hpp>
#include <ferry/error.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ferry::net {

struct http_page {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

/// Runs on the context's thread.
class admin_http {
 public:
  /// @param path  "/metrics", without a query @return status 404 for what there is not
  using pages = std::function<http_page(std::string_view path)>;
  static constexpr std::size_t k_most_requests = 32;  ///< at a time; one more is closed as it comes
  static constexpr std::size_t k_most_head = 8192;    ///< bytes of a request

  /// @param url  tcp, ipc or tls @return as of stream_transport::listen | unsupported
  [[nodiscard]] static result<admin_http> open(context& where, const std::string& url, pages shown);
  admin_http(admin_http&&) noexcept = default;
  admin_http& operator=(admin_http&&) noexcept;
  /// Closes everything at once.
  ~admin_http();
  /// With the port that was bound.
  [[nodiscard]] std::string url() const;

 private:
  struct parts;
  explicit admin_http(std::shared_ptr<parts> made) : parts_(std::move(made)) {}
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry::net
