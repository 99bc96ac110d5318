#pragma once
/// What clients, servers and a gateway say to each other: packets, the commands in them, and how a server proves that
/// it knows the key. Sans-I/O: bytes in, views and values out. Source: docs/gateway.md.
///
///     packet   u32 length (4 .. max_packet), u32 connection, message (length - 4 bytes)
///     command  the message of a packet whose connection is 0: u8 type, then u32 arguments; what follows them is
///     ignored login    gateway: 8 random bytes; server: MD5(challenge, key), u32 server; integers little endian
///     everywhere

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace ferry::codec::gateway {

inline constexpr std::size_t k_length_bytes = 4;
inline constexpr std::size_t k_header_bytes = 8;          ///< length and connection
inline constexpr std::size_t k_max_command_packet = 17;   ///< bytes of the largest packet with a command
inline constexpr std::uint32_t k_min_length = 4;          ///< smallest value of `length`
inline constexpr std::uint32_t k_command_connection = 0;  ///< never the number of a virtual connection

/// Outcome of packet_decoder::next(). consumed == 0 asks for a longer prefix of the same input.
struct packet {
  std::size_t consumed = 0;      ///< bytes of the input that this packet took; 0: incomplete
  std::size_t total = 0;         ///< size of the whole packet once its length is known; else 0
  std::uint32_t connection = 0;  ///< k_command_connection: the message is a command
  bytes message;                 ///< may be empty; valid as long as the input
};

class packet_decoder {
 public:
  /// @param max_packet  largest `length` that is accepted, k_min_length at least
  explicit packet_decoder(std::uint32_t max_packet) noexcept
      : max_length_(max_packet < k_min_length ? k_min_length : max_packet) {}

  /// The first packet of `in`; reads nothing outside of it. @return a packet, or the wish for more, or, as soon as the
  /// length is there: protocol (it is below 4) | message_too_large. After an error the stream cannot be read on.
  [[nodiscard]] result<packet> next(bytes in) const noexcept;

  [[nodiscard]] std::uint32_t max_packet() const noexcept { return max_length_; }

 private:
  std::uint32_t max_length_;
};

/// Largest message that fits into a packet of that limit.
[[nodiscard]] constexpr std::size_t max_message(std::uint32_t max_packet) noexcept {
  return max_packet < k_min_length ? 0 : max_packet - k_min_length;
}

/// Writes what precedes a message, k_header_bytes. @param message_bytes  at most max_message() of the peer's limit
void store_header(std::byte* to, std::uint32_t connection, std::size_t message_bytes) noexcept;

enum class command_type : std::uint8_t { dial = 0, accept = 1, connect = 2, refuse = 3, close = 4, ping = 5 };

/// "Dial", "Accept", ...
[[nodiscard]] const char* to_string(command_type type) noexcept;

/// Fields that a type does not have are 0.
struct command {
  command_type type = command_type::ping;
  std::uint32_t connection = 0;  ///< accept, connect, close: the virtual connection
  std::uint32_t remote = 0;      ///< dial, accept, connect, refuse: the peer's ID: a server's or a client's

  [[nodiscard]] static constexpr command dial(std::uint32_t remote) noexcept { return {command_type::dial, 0, remote}; }
  [[nodiscard]] static constexpr command accept(std::uint32_t connection, std::uint32_t remote) noexcept {
    return {command_type::accept, connection, remote};
  }
  [[nodiscard]] static constexpr command connect(std::uint32_t connection, std::uint32_t remote) noexcept {
    return {command_type::connect, connection, remote};
  }
  [[nodiscard]] static constexpr command refuse(std::uint32_t remote) noexcept {
    return {command_type::refuse, 0, remote};
  }
  [[nodiscard]] static constexpr command close(std::uint32_t connection) noexcept {
    return {command_type::close, connection, 0};
  }
  [[nodiscard]] static constexpr command ping() noexcept { return {command_type::ping, 0, 0}; }

  friend bool operator==(const command&, const command&) = default;
};

/// @param message  of a packet whose connection is k_command_connection
/// @return protocol, with the value: no type, a type that nobody knows, or arguments that are missing
[[nodiscard]] result<command> decode_command(bytes message) noexcept;
/// What of the message that `what` was decoded from lies behind its arguments.
[[nodiscard]] bytes behind_arguments(const command& what, bytes message) noexcept;

/// A whole packet with a command.
struct encoded_command {
  std::array<std::byte, k_max_command_packet> data{};
  std::size_t size = 0;
  [[nodiscard]] bytes view() const noexcept { return bytes(data).first(size); }
};
[[nodiscard]] encoded_command encode(const command& what) noexcept;

// How a server logs in: the first that either says.

inline constexpr std::size_t k_challenge_bytes = 8;
inline constexpr std::size_t k_proof_bytes = 16;
inline constexpr std::size_t k_login_bytes = k_proof_bytes + 4;

using challenge = std::array<std::byte, k_challenge_bytes>;
using proof = std::array<std::byte, k_proof_bytes>;

struct server_login {
  proof proven{};
  std::uint32_t server = 0;
};

/// MD5(challenge, key).
[[nodiscard]] proof prove(const challenge& asked, std::string_view key);
[[nodiscard]] std::array<std::byte, k_login_bytes> encode(const server_login& login) noexcept;
/// Proofs are compared with equal_in_constant_time(). @param in  k_login_bytes at least; nothing that they say is wrong
/// by itself
[[nodiscard]] server_login decode_server_login(bytes in) noexcept;

}  // namespace ferry::codec::gateway
