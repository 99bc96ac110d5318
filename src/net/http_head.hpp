#pragma once
/// The head of an HTTP/1.1 message, gathered up to its blank line and then parsed by Boost.Beast.

#include <ferry/bytes.hpp>
#include <ferry/http.hpp>

#include <cstddef>
#include <string>

namespace ferry::net {

enum class head_outcome : std::uint8_t { need_more, whole, too_large, no_http };

/// Takes bytes up to the blank line. What cannot be in a head (a control character: TLS, or a binary protocol) is seen
/// at once, not when the limit is reached.
/// @param head  what has come so far, at most `limit` bytes @param consumed  bytes of `in` that were taken
[[nodiscard]] head_outcome gather_head(std::string& head, bytes in, std::size_t limit, std::size_t& consumed);

struct http_head {
  std::string method, target;  // of a request
  int status = 0;              // of a response
  std::string reason;
  int version = 0;  // 11
  http_fields fields;
};

/// @param wrong  what is wrong, if it is
/// @return false: it is not well-formed
[[nodiscard]] bool parse_request_head(std::string_view head, http_head& into, std::string& wrong);
[[nodiscard]] bool parse_response_head(std::string_view head, http_head& into, std::string& wrong);

}  // namespace ferry::net
