#pragma once
/// u32 framing: the length as 4 bytes, little endian, then the payload. Carries neither kind nor type.

#include <algorithm>
#include <limits>

#include "base/endian.hpp"
#include "codec/framing.hpp"

namespace ferry::codec {

class u32_framing {
 public:
  static constexpr const char* k_name = "u32";
  static constexpr bool k_carries_kind = false;
  static constexpr bool k_carries_type = false;
  static constexpr std::size_t k_max_header = 4;
  static constexpr std::uint64_t k_max_payload = std::min<std::uint64_t>(
      std::numeric_limits<std::uint32_t>::max(), std::numeric_limits<std::size_t>::max() - k_max_header);

  explicit u32_framing(std::size_t max_message) noexcept
      : max_message_(std::min<std::size_t>(max_message, k_max_payload)) {}

  [[nodiscard]] result<frame> next(bytes in) const noexcept {
    if (in.size() < k_max_header) return frame{};
    const auto length = load_le<std::uint32_t>(in.data());
    if (length > max_message_) return detail::message_too_large(length, max_message_);
    return detail::frame_of(in, k_max_header, length);
  }

  static std::size_t encode_header(std::byte* out, const message_view& message) noexcept {
    if (message.payload.size() > k_max_payload) return 0;
    store_le(out, static_cast<std::uint32_t>(message.payload.size()));
    return k_max_header;
  }

  [[nodiscard]] static std::size_t frame_size(bytes own) noexcept {
    return k_max_header + load_le<std::uint32_t>(own.data());
  }

 private:
  std::size_t max_message_;
};

}  // namespace ferry::codec
