#pragma once
/// Typed framing for streams that know messages themselves and carry them in parts: never on a wire of its own, only
/// between a channel and such a stream. As typed framing, but no type travels, and the last byte of the header is
///   bit 0  the message goes on: an earlier part of it came before
///   bit 1  more of the message follows
/// A whole message has neither.

#include <algorithm>
#include <limits>

#include "base/endian.hpp"
#include "codec/framing.hpp"

namespace ferry::codec {

class parts_framing {
 public:
  static constexpr const char* k_name = "parts";
  static constexpr bool k_carries_kind = true;
  static constexpr bool k_carries_type = false;
  static constexpr bool k_carries_parts = true;
  static constexpr std::size_t k_max_header = 8;
  static constexpr std::uint64_t k_max_payload = std::min<std::uint64_t>(
      std::numeric_limits<std::uint32_t>::max(), std::numeric_limits<std::size_t>::max() - k_max_header);

  explicit parts_framing(std::size_t max_message) noexcept
      : max_message_(std::min<std::size_t>(max_message, k_max_payload)) {}

  [[nodiscard]] result<frame> next(bytes in) const noexcept {
    if (in.size() < k_max_header) return frame{};
    const auto length = load_le<std::uint32_t>(in.data());
    if (length > max_message_) return detail::message_too_large(length, max_message_);
    if (in[4] != std::byte{0} || in[5] != std::byte{0} || in[6] > std::byte{1} || in[7] > std::byte{3})
      return error(errc::protocol);
    auto whole = detail::frame_of(in, k_max_header, length);
    whole.message.kind = static_cast<message_kind>(in[6]);
    whole.message.first = (in[7] & k_goes_on) == std::byte{0};
    whole.message.more = (in[7] & k_more) != std::byte{0};
    return whole;
  }

  static std::size_t encode_header(std::byte* out, const message_view& message) noexcept {
    if (message.payload.size() > k_max_payload) return 0;
    store_le(out, static_cast<std::uint32_t>(message.payload.size()));
    store_le(out + 4, std::uint16_t{0});
    out[6] = static_cast<std::byte>(message.kind);
    out[7] = (message.first ? std::byte{0} : k_goes_on) | (message.more ? k_more : std::byte{0});
    return k_max_header;
  }

  [[nodiscard]] static std::size_t frame_size(bytes own) noexcept {
    return k_max_header + load_le<std::uint32_t>(own.data());
  }

  /// What a whole header says, of bytes that came from encode_header().
  [[nodiscard]] static message_view read_header(const std::byte* own) noexcept {
    message_view says;
    says.kind = static_cast<message_kind>(own[6]);
    says.first = (own[7] & k_goes_on) == std::byte{0};
    says.more = (own[7] & k_more) != std::byte{0};
    return says;
  }

 private:
  static constexpr std::byte k_goes_on{1};
  static constexpr std::byte k_more{2};

  std::size_t max_message_;
};

/// Whether a framing carries messages in parts.
template <class F>
inline constexpr bool carries_parts = requires {
  F::k_carries_parts;
};

}  // namespace ferry::codec
