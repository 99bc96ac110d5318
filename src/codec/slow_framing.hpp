#pragma once
/// Slow, obvious decoders, written from the format descriptions and not from the fast ones: what tests and fuzz targets
/// compare the framings with. Nothing else uses them.

#include <optional>
#include <vector>

#include "codec/framing.hpp"
#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"

namespace ferry::codec::slow {

/// What a decoder must say about one input.
struct verdict {
  std::optional<errc> error;
  std::size_t consumed = 0;
  std::size_t total = 0;
  std::size_t header = 0;
  std::vector<std::byte> payload;
  message_kind kind = message_kind::binary;
  std::uint16_t type = 0;

  bool operator==(const verdict&) const = default;
};

[[nodiscard]] inline verdict failed(errc code) {
  verdict v;
  v.error = code;
  return v;
}

/// One byte after the other, in 128 bits so that nothing wraps.
__extension__ using wide = unsigned __int128;

[[nodiscard]] inline verdict finish(bytes in, std::size_t header, wide length, std::size_t max_message,
                                    verdict so_far = {}) {
  if (length > max_message) return failed(errc::message_too_large);
  if (so_far.error) return so_far;
  const wide total = length + header;
  so_far.header = header;
  so_far.total = static_cast<std::size_t>(total);
  if (in.size() < total) return so_far;
  so_far.consumed = so_far.total;
  for (auto i = header; i < so_far.total; ++i) so_far.payload.push_back(in[i]);
  return so_far;
}

[[nodiscard]] inline verdict decode(const varint_framing*, bytes in, std::size_t max_message) {
  wide length = 0;
  wide weight = 1;
  for (std::size_t i = 0; i < in.size() && i < 10; ++i) {
    const auto byte = std::to_integer<unsigned>(in[i]);
    if (i == 9 && byte > 1) return failed(errc::varint_overflow);
    length += weight * (byte % 128);
    weight *= 128;
    if (byte < 128) return finish(in, i + 1, length, max_message);
  }
  return {};
}

[[nodiscard]] inline wide little_endian(bytes digits) {
  wide value = 0;
  for (auto i = digits.size(); i-- > 0;) value = value * 256 + std::to_integer<unsigned>(digits[i]);
  return value;
}

[[nodiscard]] inline verdict decode(const u32_framing*, bytes in, std::size_t max_message) {
  if (in.size() < 4) return {};
  return finish(in, 4, little_endian(in.first(4)), max_message);
}

[[nodiscard]] inline verdict decode(const typed_framing*, bytes in, std::size_t max_message) {
  if (in.size() < 8) return {};
  verdict v;
  v.type = static_cast<std::uint16_t>(little_endian(in.subspan(4, 2)));
  v.kind = in[6] == std::byte{1} ? message_kind::text : message_kind::binary;
  if ((in[6] != std::byte{0} && in[6] != std::byte{1}) || in[7] != std::byte{0}) v = failed(errc::protocol);
  return finish(in, 8, little_endian(in.first(4)), max_message, v);
}

/// What the framing itself says about the same input.
template <framing F>
[[nodiscard]] verdict fast(bytes in, std::size_t max_message) {
  const auto next = F(max_message).next(in);
  if (!next) return failed(next.error().reason());
  const auto& m = next->message;
  return {.error = {},
          .consumed = next->consumed,
          .total = next->total,
          .header = next->header,
          .payload = {m.payload.begin(), m.payload.end()},
          .kind = m.kind,
          .type = m.type};
}

template <framing F>
[[nodiscard]] verdict expected(bytes in, std::size_t max_message) {
  const auto limit = std::min<std::uint64_t>(max_message, F::k_max_payload);
  return decode(static_cast<const F*>(nullptr), in, static_cast<std::size_t>(limit));
}

}  // namespace ferry::codec::slow
