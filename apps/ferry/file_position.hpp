#pragma once
/// How far a session has got in a file: the state of the transactions of `send --continue` and `listen --append`.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace ferry::app {

/// Whose position it is: a session of the other kind must not be continued with it.
enum class position_of : std::uint32_t { sender = 1, receiver = 2 };

/// Everything before `offset` was sent, or written, in this session. A file that was cut off or replaced since shows by
/// the bytes before that place.
struct file_position {
  static constexpr std::size_t k_bytes = 40;       ///< of a state
  static constexpr std::size_t k_looked_at = 256;  ///< bytes before the offset that `tail` is the checksum of

  position_of whose = position_of::sender;
  std::uint64_t session = 0;  ///< its number: another one knows nothing of this file
  std::uint64_t offset = 0;
  std::uint64_t tail = 0;

  friend bool operator==(const file_position&, const file_position&) = default;
};

[[nodiscard]] std::array<std::byte, file_position::k_bytes> encode(const file_position& position) noexcept;
/// @return nothing: no state was kept yet | unsupported: it is none of `whose` kind, with what to do
[[nodiscard]] result<std::optional<file_position>> decode_position(bytes state, position_of whose);

/// The checksum that belongs into a position at `offset`. @param name  of the file, for the text
/// @return end_of_stream: the file is shorter | the error of reading it
[[nodiscard]] result<std::uint64_t> tail_before(int fd, std::uint64_t offset, const std::string& name);

/// Whether the file is still the one that the position was taken in.
/// @return corrupt: it is shorter, or other bytes lie before the position; the text says so, and what to do | the error
/// of reading it
[[nodiscard]] result<void> check_position(int fd, const file_position& at, const std::string& name);

/// Reads exactly so many bytes. @return end_of_stream: the file is shorter | the error of pread()
[[nodiscard]] result<void> read_exactly(int fd, std::uint64_t offset, mutable_bytes into, const std::string& name);

}  // namespace ferry::app
