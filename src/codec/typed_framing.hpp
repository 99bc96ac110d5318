#pragma once
/// Typed framing, Ferry's own: 8 bytes of header, then the payload.
///   bytes 0..3  length of the payload, little endian
///   bytes 4..5  type, little endian
///   byte  6     kind: 0 binary, 1 text; anything else is an error
///   byte  7     reserved: 0; anything else is an error

#include <algorithm>
#include <limits>

#include "base/endian.hpp"
#include "codec/framing.hpp"

namespace ferry::codec {

class typed_framing {
 public:
  static constexpr const char* k_name = "typed";
  static constexpr bool k_carries_kind = true;
  static constexpr bool k_carries_type = true;
  static constexpr std::size_t k_max_header = 8;
  static constexpr std::uint64_t k_max_payload = std::min<std::uint64_t>(
      std::numeric_limits<std::uint32_t>::max(), std::numeric_limits<std::size_t>::max() - k_max_header);

  explicit typed_framing(std::size_t max_message) noexcept
      : max_message_(std::min<std::size_t>(max_message, k_max_payload)) {}

  [[nodiscard]] result<frame> next(bytes in) const noexcept {
    if (in.size() < k_max_header) return frame{};
    const auto length = load_le<std::uint32_t>(in.data());
    if (length > max_message_) return detail::message_too_large(length, max_message_);
    if (in[6] > std::byte{1} || in[7] != std::byte{0}) return malformed(in[6], in[7]);
    auto whole = detail::frame_of(in, k_max_header, length);
    whole.message.kind = static_cast<message_kind>(in[6]);
    whole.message.type = load_le<std::uint16_t>(in.data() + 4);
    return whole;
  }

  static std::size_t encode_header(std::byte* out, const message_view& message) noexcept {
    if (message.payload.size() > k_max_payload) return 0;
    store_le(out, static_cast<std::uint32_t>(message.payload.size()));
    store_le(out + 4, message.type);
    out[6] = static_cast<std::byte>(message.kind);
    out[7] = std::byte{0};
    return k_max_header;
  }

  [[nodiscard]] static std::size_t frame_size(bytes own) noexcept {
    return k_max_header + load_le<std::uint32_t>(own.data());
  }

 private:
  [[nodiscard]] static error malformed(std::byte kind, std::byte reserved) noexcept;

  std::size_t max_message_;
};

}  // namespace ferry::codec
