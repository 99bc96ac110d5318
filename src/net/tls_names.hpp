#pragma once
/// The texts of TLS options taken apart.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::net {

inline constexpr std::string_view k_tls_pins_form =
    "cert:SHA256 or key:SHA256 in hexadecimal digits, separated by commas";

/// What a peer's certificate may be.
struct tls_pin {
  bool of_key = false;  ///< of its public key; else of the whole certificate
  std::string sha256;   ///< 64 small hexadecimal digits
};

/// Reads a list of pins. Digits may have colons between them, as `openssl x509 -fingerprint` writes them; without
/// "cert:" or "key:" it is a certificate's. @return nothing if one is not of this form
[[nodiscard]] std::optional<std::vector<tls_pin>> parse_tls_pins(std::string_view text);

/// "a,b" as names that each follow a byte with their length (RFC 7301, 3.1); of nothing: nothing.
/// @return nothing if a name is empty or longer than 255 bytes
[[nodiscard]] std::optional<std::string> tls_protocol_list(std::string_view text);

/// The parts between the separators; none of an empty text.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text, char separator);

/// Bytes as small hexadecimal digits.
[[nodiscard]] std::string hexadecimal(const unsigned char* bytes, std::size_t size);

}  // namespace ferry::net
