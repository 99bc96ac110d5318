#include "codec/websocket_encoder.hpp"

#include <cstring>
#include <string>

namespace ferry::codec {
namespace {

error misuse(const char* text) noexcept {
  try {
    return {errc::misuse, text};
  } catch (const std::bad_alloc&) {
    return errc::misuse;
  }
}

}  // namespace

websocket_encoder::websocket_encoder(const websocket_encoder_options& options,
                                     std::optional<deflate_direction> compress,
                                     const message_deflater::settings& how) noexcept
    : options_(options) {
  if (compress) deflater_.emplace(*compress, how);
}

std::size_t websocket_encoder::bound(std::size_t size) const noexcept {
  const std::size_t payload = deflater_ ? message_deflater::bound(size) : size;
  return payload + frames_for(payload) * k_max_websocket_header;
}

result<std::size_t> websocket_encoder::encode(const message_view& message, mutable_bytes out) noexcept {
  if (state_ != state::between) return misuse("a message cannot be sent inside of another one that is not ended");
  (void)begin(message.kind);
  compressed_ = deflater_ && message.payload.size() >= options_.compress_from;
  auto written = end(message.payload, out);
  if (!written) enter(state::between);
  return written;
}

result<void> websocket_encoder::begin(message_kind kind) noexcept {
  if (state_ != state::between) return misuse("a message cannot begin inside of another one that is not ended");
  kind_ = kind;
  compressed_ = deflater_.has_value();
  text_.reset();
  enter(state::begun);
  return {};
}

result<std::size_t> websocket_encoder::append(bytes part, mutable_bytes out) noexcept {
  if (const auto good = check_text(part, false); !good) return good.error();
  return part.empty() ? std::size_t{0} : write(part, false, out);
}

result<std::size_t> websocket_encoder::end(bytes part, mutable_bytes out) noexcept {
  if (const auto good = check_text(part, true); !good) return good.error();
  auto written = write(part, true, out);
  enter(state::between);
  return written;
}

result<void> websocket_encoder::check_text(bytes part, bool last) noexcept {
  if (state_ == state::between) return misuse("there is no message to go on with");
  if (kind_ != message_kind::text) return {};
  utf8_validator after = text_;
  if (after.feed(part) != part.size() || (last && !after.complete()))
    return misuse("a text message must be UTF-8; send other bytes as binary");
  text_ = after;
  return {};
}

result<std::size_t> websocket_encoder::write(bytes part, bool last, mutable_bytes out) noexcept {
  bytes payload = part;
  if (compressed_) {
    // Behind the room for all headers; from there each frame's share moves down to its place.
    const std::size_t headers = frames_for(message_deflater::bound(part.size())) * k_max_websocket_header;
    const auto room = out.subspan(headers);
    const auto size = deflater_->deflate(part, last, room);
    if (!size) return size.error();
    payload = room.first(*size);
  }
  std::size_t written = 0;
  do {
    const auto share = payload.first(std::min(payload.size(), largest_payload()));
    payload = payload.subspan(share.size());
    websocket_header header;
    header.fin = last && payload.empty();
    header.rsv1 = compressed_ && state_ == state::begun;
    header.opcode = state_ == state::begun ? opcode_of(kind_) : websocket_opcode::continuation;
    header.length = share.size();
    written += write_frame(header, share.data(), out.data() + written);
    enter(state::inside);
  } while (!payload.empty());
  return written;
}

std::size_t websocket_encoder::write_frame(websocket_header header, const std::byte* payload,
                                           std::byte* out) const noexcept {
  if (options_.keys.next != nullptr) header.mask = options_.keys.next(options_.keys.context);
  const auto length = static_cast<std::size_t>(header.length);
  // The payload may lie where the header goes to, a little behind: see write().
  const std::size_t size = websocket_header_size(length, header.mask.has_value());
  if (length != 0) std::memmove(out + size, payload, length);
  encode_websocket_header(out, header);
  if (header.mask) apply_websocket_mask({out + size, length}, *header.mask);
  return size + length;
}

std::size_t websocket_encoder::encode_control(websocket_opcode opcode, bytes payload, std::byte* out) const noexcept {
  const auto fitting = payload.first(std::min(payload.size(), k_max_websocket_control));
  websocket_header header;
  header.opcode = opcode;
  header.length = fitting.size();
  return write_frame(header, fitting.data(), out);
}

std::size_t websocket_encoder::encode_close(std::uint16_t code, std::string_view reason,
                                            std::byte* out) const noexcept {
  std::byte payload[k_max_websocket_control];
  const std::size_t size = encode_websocket_close(payload, code, reason);
  return encode_control(websocket_opcode::close, {payload, size}, out);
}

}  // namespace ferry::codec
