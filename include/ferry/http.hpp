#pragma once
/// What a WebSocket client asks for before there is a WebSocket: the HTTP/1.1 request that it upgrades. Includes no
/// Boost.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry {

/// In the order in which they came; names as they were written.
using http_fields = std::vector<std::pair<std::string, std::string>>;

/// The value of the first field of that name, in whatever case; empty if there is none. Valid as long as `fields`.
[[nodiscard]] std::string_view find_field(const http_fields& fields, std::string_view name) noexcept;

/// A request as it came, within the limits of the listener (`ws_max_head`).
struct http_request {
  std::string method;  ///< "GET"
  std::string target;  ///< "/chat?room=1", as it was written: nothing is decoded
  std::string path;    ///< "/chat"
  std::string query;   ///< "room=1"; empty if there is none
  http_fields fields;
  std::vector<std::string> subprotocols;  ///< that the client offers, the preferred one first
  std::string address;                    ///< of the client, as peer_info::address

  /// A header by its name, in whatever case; empty if it is not there.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept { return find_field(fields, name); }
  /// The value of a cookie; names are case-sensitive. Source: RFC 6265, section 4.2.1.
  [[nodiscard]] std::optional<std::string_view> cookie(std::string_view name) const noexcept;
};

/// What becomes of a request.
struct http_verdict {
  int status = 101;         ///< 101: it becomes a WebSocket; 400 .. 599: it is refused; anything else is taken as 500
  std::string reason;       ///< of a refusal: its body, one line of text for whoever sent the request
  http_fields fields;       ///< more headers of the answer; those that are not well-formed are left out
  std::string subprotocol;  ///< one of those offered, instead of the listener's own choice; empty: that choice
};

/// Asked for every request that is well-formed and allowed by the other rules; on the context's thread. A check that
/// throws refuses with 500.
using http_check = std::function<http_verdict(const http_request& request)>;

}  // namespace ferry
