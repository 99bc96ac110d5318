#include "codec/gateway_login.hpp"

#include <cstring>

#include "base/endian.hpp"

namespace ferry::codec::gateway {

sha256_digest prove_hmac(std::string_view by, const challenge& asked, const hmac_login& login,
                         std::string_view key) noexcept {
  std::array<std::byte, 4> server{};
  store_le(server.data(), login.server);
  return hmac_sha256(as_bytes(key), {as_bytes(by), asked, login.random, server});
}

std::array<std::byte, k_hmac_login_bytes> encode(const hmac_login& login) noexcept {
  std::array<std::byte, k_hmac_login_bytes> made{};
  std::memcpy(made.data(), k_login_mark.data(), k_login_mark.size());
  store_le(made.data() + 16, login.server);
  std::memcpy(made.data() + 20, login.random.data(), login.random.size());
  std::memcpy(made.data() + 36, login.proven.data(), login.proven.size());
  return made;
}

bool is_hmac_login(bytes in) noexcept {
  return in.size() >= k_login_mark.size() && std::memcmp(in.data(), k_login_mark.data(), k_login_mark.size()) == 0;
}

hmac_login decode_hmac_login(bytes in) noexcept {
  hmac_login made;
  made.server = load_le<std::uint32_t>(in.data() + 16);
  std::memcpy(made.random.data(), in.data() + 20, made.random.size());
  std::memcpy(made.proven.data(), in.data() + 36, made.proven.size());
  return made;
}

std::array<std::byte, k_header_bytes + 1 + 32> encode_welcome(const sha256_digest& proven) noexcept {
  std::array<std::byte, k_header_bytes + 1 + 32> made{};
  store_header(made.data(), k_command_connection, 1 + proven.size());
  made[k_header_bytes] = k_welcome_type;
  std::memcpy(made.data() + k_header_bytes + 1, proven.data(), proven.size());
  return made;
}

}  // namespace ferry::codec::gateway
