#include "codec/gateway_packet.hpp"

#include <cstring>

#include "base/endian.hpp"
#include "codec/md5.hpp"

namespace ferry::codec::gateway {
namespace {

// Arguments of each type, in bytes.
constexpr std::size_t k_argument_bytes[] = {4, 8, 8, 4, 4, 0};

error bad_length(std::uint32_t length, std::uint32_t most) noexcept {
  if (length < k_min_length)
    return {errc::protocol, "a packet of length " + std::to_string(length) + ", the least is 4"};
  return {errc::message_too_large,
          "a packet of length " + std::to_string(length) + " is larger than max_packet (" + std::to_string(most) + ")"};
}

}  // namespace

result<packet> packet_decoder::next(bytes in) const noexcept {
  if (in.size() < k_length_bytes) return packet{};
  const auto length = load_le<std::uint32_t>(in.data());
  if (length < k_min_length || length > max_length_) return bad_length(length, max_length_);
  const std::size_t total = k_length_bytes + std::size_t{length};
  if (in.size() < total) return packet{0, total, 0, {}};
  return packet{total, total, load_le<std::uint32_t>(in.data() + k_length_bytes),
                in.subspan(k_header_bytes, length - k_min_length)};
}

void store_header(std::byte* to, std::uint32_t connection, std::size_t message_bytes) noexcept {
  store_le(to, static_cast<std::uint32_t>(message_bytes + k_min_length));
  store_le(to + k_length_bytes, connection);
}

const char* to_string(command_type type) noexcept {
  switch (type) {
    case command_type::dial: return "Dial";
    case command_type::accept: return "Accept";
    case command_type::connect: return "Connect";
    case command_type::refuse: return "Refuse";
    case command_type::close: return "Close";
    case command_type::ping: return "Ping";
  }
  return "unknown";
}

result<command> decode_command(bytes message) noexcept {
  if (message.empty()) return error(errc::protocol, "a command without a type");
  const auto number = std::to_integer<std::uint8_t>(message[0]);
  if (number >= std::size(k_argument_bytes))
    return error(errc::protocol, "an unknown command, type " + std::to_string(number));
  const auto type = static_cast<command_type>(number);
  const auto arguments = message.subspan(1);
  if (arguments.size() < k_argument_bytes[number])
    return error(errc::protocol, std::string(to_string(type)) + " with " + std::to_string(arguments.size()) +
                                     " bytes of arguments, it needs " + std::to_string(k_argument_bytes[number]));
  const auto at = [&](std::size_t offset) { return load_le<std::uint32_t>(arguments.data() + offset); };
  switch (type) {
    case command_type::dial:
    case command_type::refuse: return command{type, 0, at(0)};
    case command_type::accept:
    case command_type::connect: return command{type, at(0), at(4)};
    case command_type::close: return command{type, at(0), 0};
    case command_type::ping: return command{type, 0, 0};
  }
  return error(errc::protocol);  // the number was checked
}

bytes behind_arguments(const command& what, bytes message) noexcept {
  return message.subspan(1 + k_argument_bytes[static_cast<std::uint8_t>(what.type)]);
}

encoded_command encode(const command& what) noexcept {
  encoded_command made;
  const std::size_t arguments = k_argument_bytes[static_cast<std::uint8_t>(what.type)];
  store_header(made.data.data(), k_command_connection, 1 + arguments);
  made.data[k_header_bytes] = static_cast<std::byte>(what.type);
  std::byte* const at = made.data.data() + k_header_bytes + 1;
  switch (what.type) {
    case command_type::dial:
    case command_type::refuse: store_le(at, what.remote); break;
    case command_type::accept:
    case command_type::connect: store_le(at + 4, what.remote); [[fallthrough]];
    case command_type::close: store_le(at, what.connection); break;
    case command_type::ping: break;
  }
  made.size = k_header_bytes + 1 + arguments;
  return made;
}

proof prove(const challenge& asked, std::string_view key) { return md5(asked, as_bytes(key)); }

std::array<std::byte, k_login_bytes> encode(const server_login& login) noexcept {
  std::array<std::byte, k_login_bytes> made{};
  std::memcpy(made.data(), login.proven.data(), k_proof_bytes);
  store_le(made.data() + k_proof_bytes, login.server);
  return made;
}

server_login decode_server_login(bytes in) noexcept {
  server_login made;
  std::memcpy(made.proven.data(), in.data(), k_proof_bytes);
  made.server = load_le<std::uint32_t>(in.data() + k_proof_bytes);
  return made;
}

}  // namespace ferry::codec::gateway
