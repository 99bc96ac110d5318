#pragma once
/// The HTTP/1.1 upgrade that a WebSocket begins with, both roles. Sans-I/O: bytes in, bytes to send and an outcome out.
/// Needed until it is over only. Source: RFC 6455, sections 4.1 and 4.2; RFC 7230 for the syntax.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/http.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/permessage_deflate.hpp"

namespace ferry::net {

enum class upgrade_outcome : std::uint8_t {
  need_more,  ///< give what follows
  accepted,   ///< what follows is WebSocket
  refused     ///< there will be no WebSocket: fault() says why
};

struct upgrade_progress {
  upgrade_outcome what = upgrade_outcome::need_more;
  /// Bytes of this call's input that are used up: all, unless accepted. What is left belongs to the WebSocket.
  std::size_t consumed = 0;
};

/// What is taken, for all clients of a listener.
struct ws_server_rules {
  /// "": any; "/chat": exactly that; "/chat/*": anything below "/chat/"
  std::string path;
  std::vector<std::string> origins;       ///< as browsers send them ("https://example.com"); empty: any, also none.
                                          ///< A request without one comes from no browser, and is not refused for that
  std::vector<std::string> subprotocols;  ///< the preferred one first; a client that offers others only gets none
  std::size_t max_head = 8 << 10;         ///< bytes of the request
  std::size_t max_fields = 100;
  std::optional<codec::deflate_parameters> deflate;  ///< what we wish for; nothing: no compression
  http_check check;
};

/// Reads the request, asks the rules, makes the answer.
///   reading --whole head--> accepted | refused, for good
class ws_server_upgrade {
 public:
  /// @param rules  outlive this object @param address  of the client
  ws_server_upgrade(const ws_server_rules& rules, std::string address);

  /// The next bytes. Not after an outcome.
  [[nodiscard]] upgrade_progress feed(bytes in);
  /// Refuses what has not come to an end: too slow (408), too many at a time (503). @param why  one line of text
  void refuse(int status, const std::string& why);

  /// To be sent once there is an outcome; of a refusal, the connection ends behind it.
  [[nodiscard]] const std::string& answer() const noexcept { return answer_; }
  /// Why it is refused: auth (origin, 401, 403), not_found (404), busy (503), timeout (408) | protocol
  [[nodiscard]] const error& fault() const noexcept { return fault_; }
  /// What has been asked for; whole if accepted.
  [[nodiscard]] const http_request& request() const noexcept { return request_; }
  /// The same as it came.
  [[nodiscard]] const std::string& head() const noexcept { return head_; }
  [[nodiscard]] const std::string& subprotocol() const noexcept { return subprotocol_; }
  [[nodiscard]] const std::optional<codec::deflate_parameters>& deflate() const noexcept { return deflate_; }

 private:
  [[nodiscard]] upgrade_outcome judge();
  [[nodiscard]] bool parse();
  [[nodiscard]] bool is_upgrade();
  [[nodiscard]] bool is_allowed();
  bool refuse_with(int status, const std::string& why, const http_fields& fields = {});
  void accept(const http_fields& fields);

  const ws_server_rules& rules_;
  std::string head_;
  http_request request_;
  std::string key_;
  std::string subprotocol_;
  std::optional<codec::deflate_parameters> deflate_;
  std::string answer_;
  error fault_;
};

/// What ws_server_upgrade::head() says. @param address  of the client @return as request(), for a head that was
/// accepted
[[nodiscard]] std::optional<http_request> read_upgrade_request(std::string_view head, std::string address);

/// What a client asks for.
struct ws_client_wishes {
  std::string host;  ///< as the header says it: "example.com:8080", "[::1]", without a port if that is the scheme's own
  std::string target = "/";  ///< path and query
  std::string origin;        ///< empty: none
  std::vector<std::string> subprotocols;
  http_fields fields;  ///< more headers; those that are not well-formed, or are the upgrade's own, are left out
  std::optional<codec::deflate_parameters> deflate;  ///< what we offer; nothing: no compression
  std::size_t max_head = 8 << 10;                    ///< bytes of the answer's head
};

/// Makes the request, reads the answer.
///   reading --whole head, 101--> accepted;  reading --another status--> telling (the reason is read) --> refused;
///   reading --interim (100, 103)--> reading, a few times
class ws_client_upgrade {
 public:
  /// @param nonce  random bytes; others each time
  ws_client_upgrade(ws_client_wishes wishes, const std::array<std::byte, 16>& nonce);

  /// To be sent first.
  [[nodiscard]] const std::string& request() const noexcept { return request_; }
  /// The next bytes of the answer. Not after an outcome.
  [[nodiscard]] upgrade_progress feed(bytes in);
  /// The server ended the stream.
  [[nodiscard]] upgrade_outcome end();

  /// auth (401, 403, 407), not_found (404, 410), busy (429, 503), unsupported (3xx, 426), refused (other statuses),
  /// truncated, or protocol: what came is no answer to this request
  [[nodiscard]] const error& fault() const noexcept { return fault_; }
  [[nodiscard]] const http_fields& fields() const noexcept { return fields_; }
  [[nodiscard]] const std::string& subprotocol() const noexcept { return subprotocol_; }
  [[nodiscard]] const std::optional<codec::deflate_parameters>& deflate() const noexcept { return deflate_; }

 private:
  [[nodiscard]] upgrade_outcome judge();
  [[nodiscard]] upgrade_outcome fail(errc code, const std::string& why);
  [[nodiscard]] upgrade_outcome accept();
  [[nodiscard]] upgrade_outcome refuse();

  ws_client_wishes wishes_;
  std::string request_;
  std::string key_;
  std::string head_;
  int interim_ = 0;              // answers in front of the last one
  int status_ = 0;               // of an answer that is not 101
  std::string reason_;           // its phrase
  std::string body_;             // the beginning of it
  std::size_t body_wanted_ = 0;  // bytes of it that are waited for
  http_fields fields_;
  std::string subprotocol_;
  std::optional<codec::deflate_parameters> deflate_;
  error fault_;
};

}  // namespace ferry::net
