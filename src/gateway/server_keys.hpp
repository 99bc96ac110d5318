#pragma once
/// The keys that servers prove to know, and which IDs each of them is good for.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/gateway_login.hpp"

namespace ferry::gateway {

enum class login_kind : std::uint8_t {
  any,   ///< MD5 as the original has it, or HMAC-SHA-256
  hmac,  ///< HMAC-SHA-256 alone
};

struct server_key {
  std::string secret;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ids;  ///< from, to; empty: all
};

/// One key a line: "IDS SECRET". IDS: `*`, or numbers and ranges with commas between (1,7,10-20). Empty lines and those
/// that begin with '#' say nothing. @param name  of the file, for errors: "NAME:LINE: "
/// @return bad_option, without a secret in its text
[[nodiscard]] result<std::vector<server_key>> parse_server_keys(std::string_view text, const std::string& name);

/// What a server's login has come to.
struct login_outcome {
  std::uint32_t server = 0;
  std::size_t consumed = 0;        ///< bytes of the login
  const server_key* by = nullptr;  ///< of HMAC: what the gateway proves that it knows
  codec::gateway::hmac_login said;
};
/// So many bytes belong to a login that begins like this.
[[nodiscard]] std::size_t login_size(bytes in) noexcept;
/// @param in  login_size() bytes at least @return auth: a wrong proof, one of a key that is not good for this ID, or
/// one that is not taken
[[nodiscard]] result<login_outcome> check_login(bytes in, const codec::gateway::challenge& asked,
                                                const std::vector<server_key>& keys, login_kind taken);

}  // namespace ferry::gateway
