#include "codec/websocket_frame.hpp"

#include <cstring>

#include "base/endian.hpp"
#include "base/utf8.hpp"
#include "base/utf8_validator.hpp"

namespace ferry::codec {
namespace {

constexpr std::byte k_fin{0x80};
constexpr std::byte k_rsv1{0x40};
constexpr std::byte k_rsv2_and_3{0x30};
constexpr std::byte k_opcode{0x0f};
constexpr std::byte k_masked{0x80};
constexpr std::byte k_length{0x7f};
constexpr std::uint64_t k_length_16 = 126;
constexpr std::uint64_t k_length_64 = 127;

websocket_fault first_byte_fault(std::byte first) noexcept {
  if ((first & k_rsv2_and_3) != std::byte{0}) return websocket_fault::reserved_bits;
  const auto opcode = static_cast<websocket_opcode>(first & k_opcode);
  if (opcode > websocket_opcode::pong || (opcode > websocket_opcode::binary && !is_control(opcode)))
    return websocket_fault::unknown_opcode;
  if (!is_control(opcode)) return websocket_fault::none;
  if ((first & k_rsv1) != std::byte{0}) return websocket_fault::reserved_bits;
  return (first & k_fin) == std::byte{0} ? websocket_fault::fragmented_control : websocket_fault::none;
}

websocket_fault second_byte_fault(std::byte first, std::byte second, websocket_mask_rule rule) noexcept {
  const bool masked = (second & k_masked) != std::byte{0};
  if (rule == websocket_mask_rule::required && !masked) return websocket_fault::not_masked;
  if (rule == websocket_mask_rule::forbidden && masked) return websocket_fault::masked;
  const bool control = is_control(static_cast<websocket_opcode>(first & k_opcode));
  return control && std::to_integer<std::size_t>(second & k_length) > k_max_websocket_control
             ? websocket_fault::long_control
             : websocket_fault::none;
}

}  // namespace

std::uint16_t close_code_for(websocket_fault fault) noexcept {
  switch (fault) {
    case websocket_fault::none: return websocket_close_code::normal;
    case websocket_fault::reserved_bits:
    case websocket_fault::unknown_opcode:
    case websocket_fault::fragmented_control:
    case websocket_fault::long_control:
    case websocket_fault::length_not_minimal:
    case websocket_fault::length_out_of_range:
    case websocket_fault::not_masked:
    case websocket_fault::masked:
    case websocket_fault::nothing_to_continue:
    case websocket_fault::message_not_ended:
    case websocket_fault::close_payload:
    case websocket_fault::close_code: return websocket_close_code::protocol_error;
    case websocket_fault::invalid_utf8:
    case websocket_fault::corrupt_deflate: return websocket_close_code::invalid_data;
    case websocket_fault::frame_too_large:
    case websocket_fault::message_too_large: return websocket_close_code::too_large;
    case websocket_fault::too_many_controls:
    case websocket_fault::too_many_empty_frames: return websocket_close_code::policy_violation;
    case websocket_fault::no_memory: return websocket_close_code::internal_error;
  }
  return websocket_close_code::protocol_error;
}

errc errc_for(websocket_fault fault) noexcept {
  if (fault == websocket_fault::frame_too_large || fault == websocket_fault::message_too_large)
    return errc::message_too_large;
  if (fault == websocket_fault::not_masked || fault == websocket_fault::masked) return errc::mask;
  return fault == websocket_fault::no_memory ? errc::no_memory : errc::protocol;
}

const char* to_string(websocket_fault fault) noexcept {
  switch (fault) {
    case websocket_fault::none: return "no fault";
    case websocket_fault::reserved_bits: return "reserved bits that nothing was agreed about";
    case websocket_fault::unknown_opcode: return "an unknown opcode";
    case websocket_fault::fragmented_control: return "a control frame without FIN";
    case websocket_fault::long_control: return "a control frame of more than 125 bytes";
    case websocket_fault::length_not_minimal: return "a length that is not in its shortest form";
    case websocket_fault::length_out_of_range: return "a length of 64 bits, where 63 are allowed";
    case websocket_fault::not_masked: return "a frame without a mask, which this direction must have";
    case websocket_fault::masked: return "a frame with a mask, which this direction must not have";
    case websocket_fault::nothing_to_continue: return "a continuation outside of a message";
    case websocket_fault::message_not_ended: return "a new message inside of a message";
    case websocket_fault::invalid_utf8: return "text that is not UTF-8";
    case websocket_fault::close_payload: return "a Close frame of one byte";
    case websocket_fault::close_code: return "a close code that must not be sent";
    case websocket_fault::frame_too_large: return "a frame larger than max_frame";
    case websocket_fault::message_too_large: return "a message larger than max_message";
    case websocket_fault::corrupt_deflate: return "compressed bytes that cannot be inflated";
    case websocket_fault::too_many_controls: return "too many control frames";
    case websocket_fault::too_many_empty_frames: return "too many frames without payload in one message";
    case websocket_fault::no_memory: return "no buffer for a message";
  }
  return "an unknown fault";
}

std::size_t encode_websocket_header(std::byte* out, const websocket_header& header) noexcept {
  out[0] = static_cast<std::byte>(header.opcode) | (header.fin ? k_fin : std::byte{0}) |
           (header.rsv1 ? k_rsv1 : std::byte{0});
  const std::byte masked = header.mask ? k_masked : std::byte{0};
  std::size_t at = 2;
  if (header.length < k_length_16) {
    out[1] = masked | static_cast<std::byte>(header.length);
  } else if (header.length <= 0xffff) {
    out[1] = masked | static_cast<std::byte>(k_length_16);
    store_be(out + at, static_cast<std::uint16_t>(header.length));
    at += 2;
  } else {
    out[1] = masked | static_cast<std::byte>(k_length_64);
    store_be(out + at, header.length);
    at += 8;
  }
  if (!header.mask) return at;
  std::memcpy(out + at, header.mask->data(), header.mask->size());
  return at + header.mask->size();
}

websocket_header_read decode_websocket_header(bytes in, websocket_mask_rule mask) noexcept {
  websocket_header_read read{.size = 2};
  if (in.empty()) return read;
  read.fault = first_byte_fault(in[0]);
  if (read.fault != websocket_fault::none || in.size() < 2) return read;
  read.fault = second_byte_fault(in[0], in[1], mask);
  if (read.fault != websocket_fault::none) return read;

  std::uint64_t length = std::to_integer<std::uint64_t>(in[1] & k_length);
  const std::size_t long_form = length == k_length_16 ? 2 : length == k_length_64 ? 8 : 0;
  const bool masked = (in[1] & k_masked) != std::byte{0};
  read.size = 2 + long_form + (masked ? 4 : 0);
  if (long_form == 8 && in.size() > 2 && (in[2] & std::byte{0x80}) != std::byte{0}) {
    read.fault = websocket_fault::length_out_of_range;
    return read;
  }
  if (in.size() < 2 + long_form) return read;
  if (long_form == 2) length = load_be<std::uint16_t>(in.data() + 2);
  if (long_form == 8) length = load_be<std::uint64_t>(in.data() + 2);
  if ((long_form == 2 && length < k_length_16) || (long_form == 8 && length <= 0xffff)) {
    read.fault = websocket_fault::length_not_minimal;
    return read;
  }
  read.header = {.fin = (in[0] & k_fin) != std::byte{0},
                 .rsv1 = (in[0] & k_rsv1) != std::byte{0},
                 .opcode = static_cast<websocket_opcode>(in[0] & k_opcode),
                 .length = length,
                 .mask = {}};
  if (masked && in.size() >= read.size)
    std::memcpy(read.header.mask.emplace().data(), in.data() + 2 + long_form, sizeof(websocket_mask_key));
  return read;
}

websocket_close decode_websocket_close(bytes payload) noexcept {
  websocket_close said;
  if (payload.empty()) return said;
  if (payload.size() == 1) {
    said.fault = websocket_fault::close_payload;
    return said;
  }
  said.code = load_be<std::uint16_t>(payload.data());
  said.reason = as_text(payload.subspan(2));
  if (!may_be_sent(said.code)) {
    said.fault = websocket_fault::close_code;
  } else if (!is_utf8(payload.subspan(2))) {
    said.fault = websocket_fault::invalid_utf8;
  }
  return said;
}

std::size_t encode_websocket_close(std::byte* out, std::uint16_t code, std::string_view reason) noexcept {
  if (!may_be_sent(code)) return 0;
  store_be(out, code);
  const auto fitting = utf8_beginning(reason, k_max_websocket_reason);
  if (!fitting.empty()) std::memcpy(out + 2, fitting.data(), fitting.size());
  return 2 + fitting.size();
}

}  // namespace ferry::codec
