#pragma once
/// Varint framing: an unsigned LEB128 length (7 bits a byte, least significant group first, high bit: more follows, at
/// most 10 bytes, the tenth 0 or 1), then the payload. What Go's encoding/binary calls Uvarint. Lengths that are not
/// in their shortest form are read, the shortest is written. Carries neither kind nor type.

#include <algorithm>
#include <limits>

#include "codec/framing.hpp"

namespace ferry::codec {

class varint_framing {
 public:
  static constexpr const char* k_name = "varint";
  static constexpr bool k_carries_kind = false;
  static constexpr bool k_carries_type = false;
  static constexpr std::size_t k_max_header = 10;
  static constexpr std::uint64_t k_max_payload = std::numeric_limits<std::size_t>::max() - k_max_header;

  explicit varint_framing(std::size_t max_message) noexcept
      : max_message_(std::min<std::size_t>(max_message, k_max_payload)) {}

  [[nodiscard]] result<frame> next(bytes in) const noexcept {
    if (in.empty()) return frame{};
    auto length = std::to_integer<std::uint64_t>(in[0]);
    std::size_t header = 1;
    if (length >= 0x80) {
      header = read_prefix(in, length);
      if (header == 0) return frame{};
      if (header > k_max_header) return overflow(in[k_max_header - 1]);
    }
    if (length > max_message_) return detail::message_too_large(length, max_message_);
    return detail::frame_of(in, header, length);
  }

  static std::size_t encode_header(std::byte* out, const message_view& message) noexcept {
    std::uint64_t rest = message.payload.size();
    if (rest > k_max_payload) return 0;
    std::size_t written = 0;
    for (; rest >= 0x80; rest >>= 7) out[written++] = static_cast<std::byte>(rest | 0x80);
    out[written++] = static_cast<std::byte>(rest);
    return written;
  }

  [[nodiscard]] static std::size_t frame_size(bytes own) noexcept {
    auto length = std::to_integer<std::uint64_t>(own[0]);
    if (length < 0x80) return 1 + length;
    const auto header = read_prefix(own, length);
    return header + length;
  }

 private:
  /// Bytes of the prefix, with its value in `length`; 0: incomplete; above k_max_header: it does not fit into 64 bits.
  [[nodiscard]] static std::size_t read_prefix(bytes in, std::uint64_t& length) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const auto byte = std::to_integer<std::uint64_t>(in[i]);
      if (i == k_max_header - 1 && byte > 1) return k_max_header + 1;
      value |= (byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      length = value;
      return i + 1;
    }
    return 0;
  }
  [[nodiscard]] static error overflow(std::byte tenth) noexcept;

  std::size_t max_message_;
};

}  // namespace ferry::codec
