#include "session/server_login.hpp"

#include <algorithm>

#include "base/constant_time.hpp"
#include "base/endian.hpp"

namespace ferry::session {

namespace wire = codec::gateway;

bytes server_login::answer(const wire::challenge& asked, const random_bytes& random) {
  if (way_ == way::md5) {
    const auto login = wire::encode(wire::server_login{wire::prove(asked, key_), id_});
    std::copy(login.begin(), login.end(), said_.begin());
    state_ = state::done;
    return bytes(said_).first(login.size());
  }
  wire::hmac_login login{id_, random, {}};
  login.proven = wire::prove_hmac("server", asked, login, key_);
  expected_ = wire::prove_hmac("gateway", asked, login, key_);
  said_ = wire::encode(login);
  state_ = state::proving;
  return said_;
}

result<void> server_login::on_proof(bytes packet) {
  if (packet.size() != k_proof_bytes || load_le<std::uint32_t>(packet.data()) != wire::k_command_connection ||
      packet[4] != wire::k_welcome_type)
    return error(errc::protocol, "the gateway answers a login by HMAC with " + std::to_string(packet.size()) +
                                     " bytes that are no proof of the key; does it know this way of logging in?");
  if (!equal_in_constant_time(packet.subspan(5), expected_))
    return error(errc::auth, "the gateway does not prove that it knows the key of server " + std::to_string(id_));
  state_ = state::done;
  return {};
}

}  // namespace ferry::session
