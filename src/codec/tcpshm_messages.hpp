#pragma once
/// What tcpshm's programs say over TCP: the header of every message, the login and its answer. Sizes of names and of
/// user data are not on the wire: both sides must have agreed on them. Source: docs/compat-tcpshm.md.
///
///     header   u16 size (header and body, without padding), u16 type, u32 ack; padded to a multiple of 8
///     login    header, u32 start, u32 end, user data, u8 use_shm, client name, name of the last server
///     answer   header, u32 start, u32 end, user data, u8 status, server name, char[32] error text

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace ferry::codec::tcpshm {

inline constexpr std::size_t k_header_bytes = 8;
inline constexpr std::size_t k_error_text_bytes = 32;
inline constexpr std::uint16_t k_heartbeat = 0;
inline constexpr std::uint16_t k_login = 1;
inline constexpr std::uint16_t k_login_answer = 2;

/// What both sides must have agreed on.
struct wire_format {
  std::size_t name_bytes = 16;       ///< with the zero that ends a name
  std::size_t login_data_bytes = 1;  ///< user data in a login
  std::size_t answer_data_bytes = 1;
  std::size_t data_alignment = 1;  ///< of both kinds of user data: 1, 2, 4 or 8
  std::endian order = std::endian::little;
};

struct header {
  std::uint16_t size = 0;
  std::uint16_t type = 0;
  std::uint32_t ack = 0;
};

/// A message of `size` bytes, header included, with its padding.
[[nodiscard]] constexpr std::size_t padded(std::size_t size) noexcept { return (size + 7) / 8 * 8; }

/// @param from  at least k_header_bytes
[[nodiscard]] header load_header(const std::byte* from, std::endian order) noexcept;
void store_header(std::byte* to, const header& h, std::endian order) noexcept;

/// Sequence numbers of one side: what it has consumed of the other one's messages, and which of its own it still has.
struct range {
  std::uint32_t ack = 0;    ///< the number that it wants next
  std::uint32_t start = 0;  ///< of the first message that was not acknowledged
  std::uint32_t end = 0;    ///< of its next message
  friend bool operator==(const range&, const range&) = default;
};

struct login {
  range numbers;
  std::vector<std::byte> user_data;
  bool use_shm = false;
  std::string client_name;
  std::string last_server_name;
};

enum class login_status : std::uint8_t { accepted = 0, mismatch = 1, refused = 2 };

struct login_answer {
  range numbers;
  std::vector<std::byte> user_data;
  login_status status = login_status::accepted;
  std::string server_name;
  std::string error_text;
};

/// Bytes on the wire.
[[nodiscard]] std::size_t login_bytes(const wire_format& format) noexcept;
[[nodiscard]] std::size_t answer_bytes(const wire_format& format) noexcept;

/// Whole messages, padding included; every byte that is not said is 0. Names, texts and data that are too long are cut.
[[nodiscard]] std::vector<std::byte> encode(const login& what, const wire_format& format);
[[nodiscard]] std::vector<std::byte> encode(const login_answer& what, const wire_format& format);

/// @param in  login_bytes() or answer_bytes() of them, exactly @return protocol, with the value: size or type is
/// another one, a name does not end, use_shm or status has no meaning. Names may still have any bytes.
[[nodiscard]] result<login> decode_login(bytes in, const wire_format& format);
[[nodiscard]] result<login_answer> decode_answer(bytes in, const wire_format& format);

}  // namespace ferry::codec::tcpshm
