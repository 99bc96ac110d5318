#pragma once
/// How messages lie in a stream. Sans-I/O: a framing owns no bytes and keeps no state between calls, so that any prefix
/// of a stream may be shown to it again. Each framing is a class of its own; the concept says what they have in common.

#include <ferry/error.hpp>
#include <ferry/message.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace ferry::codec {

/// Outcome of next(): consumed == 0 asks for a longer prefix of the same input.
struct frame {
  std::size_t consumed = 0;  ///< bytes of the input that this frame took; 0: incomplete
  std::size_t total = 0;     ///< size of the whole frame, header and payload, once its header is complete; else 0
  std::size_t header = 0;    ///< bytes of the header once it is complete, so where the payload starts; else 0
  message_view message;      ///< valid as long as the input; of an incomplete frame only kind and type, if it has them
};

/// What every framing offers.
/// - `F(max_message)`: the largest payload, in bytes, that next() accepts.
/// - `next(in)`: the first frame of `in`. It reads nothing outside of `in`, allocates only for the text of an error,
/// and
///   gives a frame, or the wish for more, or: message_too_large (before the payload is waited for), varint_overflow,
///   protocol. After an error the stream cannot be read on.
/// - `encode_header(out, message)`: writes what precedes the payload, at most k_max_header bytes, and returns how many;
///   0, and nothing written, if the payload is larger than k_max_payload. The payload follows verbatim.
/// - `frame_size(own)`: size of the first whole frame of bytes that came from encode_header(), of which at least the
///   header is there. Not for bytes from outside.
/// - `k_carries_kind`, `k_carries_type`: whether kind and type arrive; without, all that arrives is binary of type 0.
template <class F>
concept framing = std::constructible_from<F, std::size_t> &&
    requires(const F& decoder, bytes in, std::byte* out, const message_view& message) {
  { F::k_name } -> std::convertible_to<const char*>;
  { F::k_carries_kind } -> std::convertible_to<bool>;
  { F::k_carries_type } -> std::convertible_to<bool>;
  { F::k_max_header } -> std::convertible_to<std::size_t>;
  { F::k_max_payload } -> std::convertible_to<std::uint64_t>;
  { decoder.next(in) }
  noexcept->std::same_as<result<frame>>;
  { F::encode_header(out, message) }
  noexcept->std::same_as<std::size_t>;
  { F::frame_size(in) }
  noexcept->std::same_as<std::size_t>;
};

namespace detail {

/// "message of 300 bytes is larger than max_message (256)". Out of line, to keep it out of the decoding loop.
[[nodiscard]] error message_too_large(std::uint64_t size, std::size_t max_message) noexcept;

/// The frame whose header has been read.
[[nodiscard]] inline frame frame_of(bytes in, std::size_t header, std::size_t length) noexcept {
  const auto total = header + length;  // cannot wrap: a framing's max_message leaves room for its header
  if (in.size() < total) return {0, total, header, {}};
  return {total, total, header, {in.subspan(header, length)}};
}

}  // namespace detail
}  // namespace ferry::codec
