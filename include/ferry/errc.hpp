#pragma once
/// What can go wrong, as precise codes folded into the few conditions that a caller can act on.
/// This header includes no Boost; <ferry/error.hpp> adds Boost.System's error_code and ferry::result.

#include <stdexcept>
#include <string>
#include <system_error>

namespace ferry {

/// Precise codes. `would_block` is an outcome of the functions named try_..., never the reason of a lost connection.
enum class errc {
  would_block = 1,    ///< nothing to receive, or no room, right now
  closed,             ///< this end was closed, or never opened
  end_of_stream,      ///< the peer ended in order, between two messages
  truncated,          ///< the peer ended inside a message
  reset,              ///< the connection broke: the peer died or reset it
  network,            ///< another error of the network; the errno tells which
  refused,            ///< nobody listens there
  not_found,          ///< the host name or the path does not exist
  address_in_use,     ///< somebody listens there already
  bad_address,        ///< the address, path or name cannot be used for this; the text tells why
  permission,         ///< the operating system refuses
  auth,               ///< the peer is not one that is allowed here
  busy,               ///< a limit on connections or descriptors is reached
  full,               ///< a queue is at its limit; try again after the drain event
  no_memory,          ///< the buffer pool is at its limit, or the system is out of memory
  timeout,            ///< a deadline passed; the text tells which
  idle,               ///< nothing was received or sent for the idle time
  message_too_large,  ///< a message is larger than max_message
  varint_overflow,    ///< a length prefix does not fit into 64 bits
  protocol,           ///< the peer sent what the protocol does not allow
  mask,               ///< the peer sent a WebSocket frame that is masked and must not be, or the other way round
  corrupt,            ///< bytes that must not change have changed
  poisoned,           ///< a message failed max_send_attempts times and was dropped
  unknown_scheme,     ///< no transport has this URL scheme
  unknown_option,     ///< no option has this name
  bad_option,         ///< the option's value cannot be read, or is out of its range
  bad_url,            ///< not a URL, or one with a missing part
  unsupported,        ///< this transport cannot carry or do that
  misuse,             ///< the call is not allowed here or now; the text tells why
  cancelled,          ///< the operation was cancelled by its caller
};

/// What a caller can do about it.
enum class condition {
  retry_later = 1,     ///< try the same again later: would_block, full, busy, no_memory, timeout
  reconnect,           ///< this connection is over, another one may work: end_of_stream, reset, idle, refused, ...
  protocol_violation,  ///< the peer broke the protocol: truncated, message_too_large, varint_overflow, protocol, mask,
                       ///< ...
  misuse,              ///< the caller must change the call: bad_url, unknown_option, bad_address, misuse, ...
  unsupported,         ///< not available here: unsupported
};

/// The code's fixed text, without values: "message larger than the limit".
[[nodiscard]] const char* to_string(errc code) noexcept;

/// As a std::error_code whose category is ferry's; equal to what the codes of this library convert to.
[[nodiscard]] std::error_code to_std(errc code) noexcept;
/// The condition that a code belongs to.
[[nodiscard]] condition condition_of(errc code) noexcept;

[[nodiscard]] inline bool operator==(const std::error_code& code, errc value) noexcept { return code == to_std(value); }

/// Thrown where an API throws: the code, the original errno (0 if none) and the whole text.
class failure : public std::system_error {
 public:
  failure(errc code, int system_errno, const std::string& text)
      : std::system_error(to_std(code), text), code_(code), system_errno_(system_errno), text_(text) {}
  [[nodiscard]] errc reason() const noexcept { return code_; }
  [[nodiscard]] int system_errno() const noexcept { return system_errno_; }
  /// What happened, with the value and the limit, as one line.
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  errc code_;
  int system_errno_;
  std::string text_;
};

}  // namespace ferry
