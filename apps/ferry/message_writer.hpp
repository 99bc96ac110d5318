#pragma once
/// Received messages on standard output.

#include <ferry/message.hpp>

#include <cstdint>
#include <string>

#include "apps/ferry/output.hpp"

namespace ferry::app {

enum class message_format {
  lines,  ///< each message and a newline
  raw,    ///< the bytes alone
  json,   ///< an object per line: n, kind, type, size, text (or base64 data, where it is not UTF-8), peer, login_data
  none,   ///< nothing
};

/// One message as a JSON object, without a newline.
/// @param login_data  of the peer, as shown(); not said if it is empty
[[nodiscard]] std::string json_of(const message_view& m, std::uint64_t number, const std::string& peer,
                                  const std::string& login_data = {});

/// @param number counts from 1
void write_message(output& to, message_format format, const message_view& m, std::uint64_t number,
                   const std::string& peer, const std::string& login_data = {});

/// Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(bytes data) noexcept;

/// With padding: RFC 4648, section 4.
[[nodiscard]] std::string base64(bytes data);

}  // namespace ferry::app
