#include "codec/websocket_decoder.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/endian.hpp"

namespace ferry::codec {
namespace {

constexpr std::size_t k_first_room = 4096;    // bytes of the first buffer for a message in several frames
constexpr std::size_t k_piece_room = 16384;   // bytes of an inflated piece, at most
constexpr std::uint64_t k_split_room = 1024;  // see max_message

// What the number in the text of an error is.
const char* what_is_told(websocket_fault fault) noexcept {
  switch (fault) {
    case websocket_fault::reserved_bits:
    case websocket_fault::unknown_opcode:
    case websocket_fault::fragmented_control:
    case websocket_fault::long_control:
    case websocket_fault::length_not_minimal:
    case websocket_fault::length_out_of_range:
    case websocket_fault::not_masked:
    case websocket_fault::masked:
    case websocket_fault::nothing_to_continue:
    case websocket_fault::message_not_ended: return "the frame's first byte is ";
    case websocket_fault::invalid_utf8:
    case websocket_fault::corrupt_deflate:
    case websocket_fault::no_memory: return "after so many bytes: ";
    case websocket_fault::close_payload:
    case websocket_fault::close_code: return "the code is ";
    case websocket_fault::frame_too_large:
    case websocket_fault::message_too_large:
    case websocket_fault::too_many_controls:
    case websocket_fault::too_many_empty_frames:
    case websocket_fault::none: break;
  }
  return "";
}

}  // namespace

websocket_decoder::websocket_decoder(buffer_pool& pool, const websocket_decoder_options& options,
                                     std::optional<deflate_direction> inflate)
    : pool_(&pool), options_(&options), inflater_(inflate ? std::make_unique<message_inflater>(*inflate) : nullptr) {}

result<websocket_event> websocket_decoder::next(mutable_bytes in, time_point now) noexcept {
  if (handed_out_) {
    handed_out_ = false;
    held_bytes_ = 0;
    if (route_ == route::none) held_.reset();
  }
  websocket_event event;
  if (event.consumed = next_whole(in, event.message); event.consumed != 0) {
    event.what = websocket_event_kind::message;
    return event;
  }
  for (;;) {
    const auto rest = in.subspan(event.consumed);
    auto done = outcome::failed;
    switch (state_) {
      case state::header: done = on_header(rest, now, event); break;
      case state::payload: done = on_payload(rest, event); break;
      case state::tail: done = on_tail(event); break;
      case state::closed: event.consumed = in.size(); return event;
      case state::failed: break;
    }
    if (done == outcome::failed) return failure();
    if (done == outcome::event) return event;
  }
}

void websocket_decoder::settle() noexcept {
  if (!between_messages()) return;
  held_.reset();
  held_bytes_ = 0;
  handed_out_ = false;
  if (inflater_) inflater_->settle();
}

websocket_fault websocket_decoder::place_fault(std::byte first) const noexcept {
  const auto opcode = static_cast<websocket_opcode>(first & std::byte{0x0f});
  const bool rsv1 = (first & std::byte{0x40}) != std::byte{0};
  const bool continues = opcode == websocket_opcode::continuation;
  const bool begins = opcode == websocket_opcode::text || opcode == websocket_opcode::binary;
  if (rsv1 && (!begins || !inflater_)) return websocket_fault::reserved_bits;
  if (continues && route_ == route::none) return websocket_fault::nothing_to_continue;
  return begins && route_ != route::none ? websocket_fault::message_not_ended : websocket_fault::none;
}

// What has a fault before its payload, or is not here yet, goes the way of the states.
std::size_t websocket_decoder::next_whole(mutable_bytes in, message_view& out) noexcept {
  constexpr std::byte k_whole_text{0x81}, k_whole_binary{0x82}, k_masked{0x80};
  constexpr std::size_t k_short = 125, k_length_16 = 126;
  if (!rests() || handed_out_ || in.size() < 2 || options_->delivery != websocket_delivery::whole) return 0;
  if (in[0] != k_whole_binary && in[0] != k_whole_text) return 0;
  const bool masked = (in[1] & k_masked) != std::byte{0};
  if (options_->mask == (masked ? websocket_mask_rule::forbidden : websocket_mask_rule::required)) return 0;
  std::size_t length = std::to_integer<std::size_t>(in[1] & ~k_masked);
  std::size_t start = 2;
  if (length == k_length_16 && in.size() >= 4) {
    length = load_be<std::uint16_t>(in.data() + 2);
    start = 4;
  }
  if ((length > k_short) != (start == 4) || length > options_->max_frame || length > options_->max_message) return 0;
  start += masked ? sizeof key_ : 0;
  if (in.size() < start + length) return 0;
  const auto payload = in.subspan(start, length);
  if (masked) {
    std::memcpy(key_.data(), payload.data() - sizeof key_, sizeof key_);
    apply_websocket_mask(payload, key_);
  }
  kind_ = in[0] == k_whole_text ? message_kind::text : message_kind::binary;
  if (kind_ == message_kind::text) {
    text_bytes_ = 0;
    if (check_text(payload) == outcome::failed || end_message() == outcome::failed) return 0;
  }
  out = {payload, kind_};
  return start + length;
}

websocket_decoder::outcome websocket_decoder::on_header(mutable_bytes in, time_point now,
                                                        websocket_event& out) noexcept {
  if (in.empty()) return outcome::event;
  if (const auto fault = place_fault(in[0]); fault != websocket_fault::none)
    return fail(fault, std::to_integer<unsigned>(in[0]));
  const auto read = decode_websocket_header(in, options_->mask);
  if (read.fault != websocket_fault::none) return fail(read.fault, std::to_integer<unsigned>(in[0]));
  const auto& header = read.header;
  const bool control = is_control(header.opcode);
  if (!control && check_limits(header) == outcome::failed) return outcome::failed;
  const std::size_t needed = read.size + (control ? static_cast<std::size_t>(header.length) : 0);
  if (in.size() < needed) {
    out.wanted = needed;
    return outcome::event;
  }
  masked_ = header.mask.has_value();
  if (masked_) key_ = *header.mask;
  out.consumed += needed;
  if (control) return on_control(in.subspan(read.size, needed - read.size), header.opcode, now, out);
  return on_data_header(header);
}

// Before the payload is waited for, and before the header is complete: a length is known before the mask.
websocket_decoder::outcome websocket_decoder::check_limits(const websocket_header& header) noexcept {
  if (header.length > options_->max_frame)
    return fail(websocket_fault::frame_too_large, header.length, options_->max_frame);
  const bool continues = header.opcode == websocket_opcode::continuation;
  const std::uint64_t size = header.length + (continues ? payload_bytes_ : 0);  // both below 2^63
  const bool compressed = continues ? route_ == route::inflated : header.rsv1;
  const std::uint64_t limit = options_->max_message;
  const bool fits = size <= limit || (compressed && (size <= k_split_room || (size - k_split_room) / 2 <= limit));
  return fits ? outcome::go_on : fail(websocket_fault::message_too_large, size, limit);
}

websocket_decoder::outcome websocket_decoder::on_control(mutable_bytes payload, websocket_opcode opcode, time_point now,
                                                         websocket_event& out) noexcept {
  if (!controls_.take(now, options_->control_burst, options_->control_interval))
    return fail(websocket_fault::too_many_controls, options_->control_burst);
  if (masked_) apply_websocket_mask(payload, key_);
  out.message.payload = payload;
  if (opcode != websocket_opcode::close) {
    out.what = opcode == websocket_opcode::ping ? websocket_event_kind::ping : websocket_event_kind::pong;
    return outcome::event;
  }
  const auto close = decode_websocket_close(payload);
  if (close.fault == websocket_fault::invalid_utf8) return fail(close.fault, 0);
  if (close.fault != websocket_fault::none) return fail(close.fault, close.code);
  out.what = websocket_event_kind::close;
  out.close_code = close.code;
  out.message = {as_bytes(close.reason), message_kind::text};
  enter(state::closed);
  return outcome::event;
}

websocket_decoder::outcome websocket_decoder::on_data_header(const websocket_header& header) noexcept {
  if (header.opcode != websocket_opcode::continuation) {
    kind_ = header.opcode == websocket_opcode::text ? message_kind::text : message_kind::binary;
    route_ = header.rsv1                                        ? route::inflated
             : options_->delivery == websocket_delivery::pieces ? route::streamed
             : header.fin                                       ? route::in_place
                                                                : route::assembled;
    begun_ = false;
    payload_bytes_ = inflated_bytes_ = 0;
    empty_frames_ = 0;
    text_bytes_ = 0;
  }
  if (header.length == 0 && !header.fin && ++empty_frames_ > options_->max_empty_frames)
    return fail(websocket_fault::too_many_empty_frames, empty_frames_, options_->max_empty_frames);
  payload_bytes_ += header.length;
  frame_left_ = header.length;
  ready_ = 0;
  key_offset_ = 0;
  final_frame_ = header.fin;
  enter(state::payload);
  return outcome::go_on;
}

websocket_decoder::outcome websocket_decoder::on_payload(mutable_bytes in, websocket_event& out) noexcept {
  const auto available = in.first(static_cast<std::size_t>(std::min<std::uint64_t>(in.size(), frame_left_)));
  // What was shown before and left may have been cut off by the caller, who then shows it again.
  const auto fresh = available.subspan(std::min(ready_, available.size()));
  if (masked_) {
    apply_websocket_mask(fresh, key_, key_offset_);
    key_offset_ = static_cast<std::uint8_t>((key_offset_ + fresh.size()) % key_.size());
  }
  ready_ += fresh.size();
  if (route_ != route::inflated && check_text(fresh) == outcome::failed) return outcome::failed;
  switch (route_) {
    case route::in_place: return on_in_place(available, out);
    case route::assembled: return on_assembled(available, out);
    case route::streamed: return on_streamed(available, out);
    case route::inflated: return on_inflated(available, out);
    case route::none: break;
  }
  return fail(websocket_fault::nothing_to_continue);  // a payload has a message: on_data_header()
}

websocket_decoder::outcome websocket_decoder::on_in_place(bytes available, websocket_event& out) noexcept {
  if (available.size() < frame_left_) {
    out.wanted = static_cast<std::size_t>(frame_left_);
    return outcome::event;
  }
  if (end_message() == outcome::failed) return outcome::failed;
  out.what = websocket_event_kind::message;
  out.message = {available, kind_};
  out.consumed += available.size();
  end_frame();
  return outcome::event;
}

websocket_decoder::outcome websocket_decoder::on_assembled(bytes available, websocket_event& out) noexcept {
  if (!available.empty()) {
    if (!reserve(held_bytes_ + available.size())) return fail(websocket_fault::no_memory, payload_bytes_);
    std::memcpy(held_.data() + held_bytes_, available.data(), available.size());
    held_bytes_ += available.size();
    out.consumed += available.size();
    frame_left_ -= available.size();
    ready_ = 0;
  }
  if (frame_left_ != 0) return outcome::event;
  end_frame();
  if (!final_frame_) return outcome::go_on;
  if (end_message() == outcome::failed) return outcome::failed;
  return deliver_held(out, true);
}

websocket_decoder::outcome websocket_decoder::on_streamed(bytes available, websocket_event& out) noexcept {
  out.consumed += available.size();
  frame_left_ -= available.size();
  ready_ = 0;
  const bool last = frame_left_ == 0 && final_frame_;
  if (frame_left_ == 0) end_frame();
  if (last && end_message() == outcome::failed) return outcome::failed;
  if (available.empty() && !last) return state_ == state::header ? outcome::go_on : outcome::event;
  out.what = websocket_event_kind::piece;
  out.message = {available, kind_};
  out.first = !std::exchange(begun_, true);
  out.last = last;
  return outcome::event;
}

websocket_decoder::outcome websocket_decoder::on_inflated(bytes available, websocket_event& out) noexcept {
  const bool pieces = options_->delivery == websocket_delivery::pieces;
  while (!available.empty() || inflater_holds_) {
    if (!make_room()) return fail(websocket_fault::no_memory, inflated_bytes_);
    const auto step = inflater_->feed(available, {held_.data() + held_bytes_, held_.capacity() - held_bytes_});
    if (inflated(step) == outcome::failed) return outcome::failed;
    if (step->consumed == 0 && step->produced == 0 && !inflater_holds_)
      return fail(websocket_fault::corrupt_deflate, inflated_bytes_);
    available = available.subspan(step->consumed);
    out.consumed += step->consumed;
    frame_left_ -= step->consumed;
    ready_ -= step->consumed;
    inflater_holds_ = held_bytes_ == held_.capacity();
    if (inflater_holds_ && pieces) return deliver_held(out, false);
  }
  if (frame_left_ == 0) end_frame();
  if (state_ == state::header && final_frame_) {
    enter(state::tail);
    return outcome::go_on;
  }
  if (pieces && held_bytes_ != 0) return deliver_held(out, false);
  return state_ == state::header ? outcome::go_on : outcome::event;
}

websocket_decoder::outcome websocket_decoder::on_tail(websocket_event& out) noexcept {
  do {
    if (!make_room()) return fail(websocket_fault::no_memory, inflated_bytes_);
    const auto step = inflater_->finish({held_.data() + held_bytes_, held_.capacity() - held_bytes_});
    if (inflated(step) == outcome::failed) return outcome::failed;
    if (!inflater_->done() && options_->delivery == websocket_delivery::pieces) return deliver_held(out, false);
  } while (!inflater_->done());
  if (end_message() == outcome::failed) return outcome::failed;
  enter(state::header);
  return deliver_held(out, true);
}

// In the order of the bytes: good text up to the limit, then the limit, then what cannot be inflated.
websocket_decoder::outcome websocket_decoder::inflated(const result<message_inflater::progress>& step) noexcept {
  if (!step) return fail(websocket_fault::no_memory, inflated_bytes_);
  const bytes fresh{held_.data() + held_bytes_, step->produced};
  const std::uint64_t allowed = options_->max_message - inflated_bytes_;
  inflated_bytes_ += fresh.size();
  held_bytes_ += fresh.size();
  if (check_text(fresh.first(static_cast<std::size_t>(std::min<std::uint64_t>(allowed, fresh.size())))) ==
      outcome::failed)
    return outcome::failed;
  if (fresh.size() > allowed) return fail(websocket_fault::message_too_large, inflated_bytes_, options_->max_message);
  return step->corrupt ? fail(websocket_fault::corrupt_deflate, inflated_bytes_) : outcome::go_on;
}

websocket_decoder::outcome websocket_decoder::check_text(bytes part) noexcept {
  if (kind_ != message_kind::text) return outcome::go_on;
  const std::size_t good = text_.feed(part);
  text_bytes_ += good;
  return good == part.size() ? outcome::go_on : fail(websocket_fault::invalid_utf8, text_bytes_);
}

bool websocket_decoder::make_room() noexcept {
  if (options_->delivery == websocket_delivery::pieces) return reserve(k_piece_room);
  return held_bytes_ < held_.capacity() || reserve(held_bytes_ + 1);
}

// Doubles, so that a message is copied as often as its size has bits, and holds no more than twice what came.
bool websocket_decoder::reserve(std::size_t size) noexcept {
  if (size <= held_.capacity()) return true;
  const std::size_t doubled = std::min(2 * held_.capacity(), options_->max_message);
  pooled_buffer larger = pool_->acquire(std::max({size, doubled, k_first_room}));
  if (!larger) return false;
  if (held_bytes_ != 0) std::memcpy(larger.data(), held_.data(), held_bytes_);
  held_ = std::move(larger);
  return true;
}

websocket_decoder::outcome websocket_decoder::deliver_held(websocket_event& out, bool last) noexcept {
  out.message = {{held_.data(), held_bytes_}, kind_};
  handed_out_ = true;
  if (options_->delivery == websocket_delivery::whole) {
    out.what = websocket_event_kind::message;
    return outcome::event;
  }
  out.what = websocket_event_kind::piece;
  out.first = !std::exchange(begun_, true);
  out.last = last;
  return outcome::event;
}

websocket_decoder::outcome websocket_decoder::end_message() noexcept {
  route_ = route::none;
  if (kind_ != message_kind::text || text_.complete()) return outcome::go_on;
  return fail(websocket_fault::invalid_utf8, text_bytes_);
}

void websocket_decoder::end_frame() noexcept {
  frame_left_ = 0;
  ready_ = 0;
  enter(state::header);
}

websocket_decoder::outcome websocket_decoder::fail(websocket_fault fault, std::uint64_t value,
                                                   std::uint64_t limit) noexcept {
  fault_ = fault;
  fault_value_ = value;
  fault_limit_ = limit;
  held_.reset();
  held_bytes_ = 0;
  enter(state::failed);
  return outcome::failed;
}

error websocket_decoder::failure() const noexcept {
  try {
    std::string text = std::string("WebSocket: ").append(to_string(fault_)).append(" (");
    text.append(what_is_told(fault_)).append(std::to_string(fault_value_));
    if (fault_limit_ != 0) text.append(", at most ").append(std::to_string(fault_limit_));
    return {errc_for(fault_), text.append(")")};
  } catch (const std::bad_alloc&) {
    return errc_for(fault_);
  }
}

}  // namespace ferry::codec
