#include "net/ws_output.hpp"

#include <algorithm>
#include <cstring>

#include "base/endian.hpp"
#include "codec/parts_framing.hpp"
#include "os/random.hpp"

namespace ferry::net {
namespace {

constexpr std::size_t k_view = 8192;  // payloads of this size are sent from where they lie, if nothing masks them

}  // namespace

codec::websocket_mask_key ws_mask_key(void*) noexcept {
  thread_local os::random_portions keys;
  return keys.next<codec::websocket_mask_key>();
}

std::size_t ws_input::size() const noexcept {
  std::size_t all = 0;
  for (const bytes part : parts_) all += part.size();
  return all - at_;
}

ws_output::ws_output(const ws_output_options& with) : fragment_above_(with.fragment_above), mask_(with.mask) {
  if (!with.compress) return;
  codec::websocket_encoder_options how;
  how.fragment_above = fragment_above_;
  if (mask_) how.keys.next = &ws_mask_key;
  compressor_ = std::make_unique<codec::websocket_encoder>(how, with.compress);
}

ws_output::step ws_output::write(ws_input& in, mutable_bytes out) noexcept {
  step done;
  while (!done.fault) {
    if (message_left_ == 0 && !frame_due_) {
      if (header_bytes_ == 0 && !compressor_) write_whole(in, out, done);
      if (in.empty() || !take_header(in, done)) break;
      continue;
    }
    if (message_left_ != 0 && in.empty() && !(frame_due_ && !compressor_)) break;
    if (!(compressor_ ? write_compressed(in, out, done) : write_plain(in, out, done))) break;
  }
  return done;
}

// Nearly all there is: whole messages that lie together, each with room for its frame. The first one that is anything
// else is left.
void ws_output::write_whole(ws_input& in, mutable_bytes out, step& done) noexcept {
  if (in.empty()) return;
  constexpr std::size_t k_header = codec::parts_framing::k_max_header;
  const bytes here = in.front();
  const std::size_t most = too_long();
  std::size_t at = 0;
  while (here.size() - at >= k_header) {
    const auto length = load_le<std::uint32_t>(here.data() + at);
    const auto says = codec::parts_framing::read_header(here.data() + at);
    if (!says.whole() || length >= most || here.size() - at - k_header < length ||
        out.size() - done.written < codec::k_max_websocket_header + length)
      break;
    done.written += put_frame(says.kind, here.subspan(at + k_header, length), out.data() + done.written);
    at += k_header + length;
  }
  if (at == 0) return;
  done.taken += at;
  in.advance(at);
}

std::size_t ws_output::too_long() const noexcept {
  return fragment_above_ == 0 || fragment_above_ >= k_view ? k_view : fragment_above_ + 1;
}

std::size_t ws_output::put_frame(message_kind kind, bytes payload, std::byte* to) const noexcept {
  codec::websocket_header header;
  header.opcode = codec::opcode_of(kind);
  header.length = payload.size();
  if (mask_) header.mask = ws_mask_key();
  const std::size_t size = codec::encode_websocket_header(to, header);
  if (!payload.empty()) std::memcpy(to + size, payload.data(), payload.size());
  if (mask_) codec::apply_websocket_mask({to + size, payload.size()}, *header.mask);
  return size + payload.size();
}

std::size_t ws_output::write_alone(const message_view& m, mutable_bytes out) const noexcept {
  const bool rests = message_left_ == 0 && !frame_due_ && header_bytes_ == 0;
  if (!rests || compressor_ || m.payload.size() >= too_long()) return 0;
  if (out.size() < codec::k_max_websocket_header + m.payload.size()) return 0;
  return put_frame(m.kind, m.payload, out.data());
}

// @return false: it has not come wholly
bool ws_output::take_header(ws_input& in, step& done) noexcept {
  while (!in.empty() && header_bytes_ != header_.size()) {
    const std::size_t n = std::min(in.front().size(), header_.size() - header_bytes_);
    std::memcpy(header_.data() + header_bytes_, in.front().data(), n);
    header_bytes_ = static_cast<std::uint8_t>(header_bytes_ + n);
    in.advance(n);
    done.taken += n;
  }
  if (header_bytes_ != header_.size()) return false;
  header_bytes_ = 0;
  message_left_ = load_le<std::uint32_t>(header_.data());
  begins_ = codec::parts_framing::read_header(header_.data()).first;
  frame_due_ = true;
  return true;
}

std::size_t ws_output::begin_frame(std::byte* out) noexcept {
  const auto says = codec::parts_framing::read_header(header_.data());
  codec::websocket_header header;
  header.length = fragment_above_ == 0 ? message_left_ : std::min<std::uint64_t>(message_left_, fragment_above_);
  header.fin = !says.more && header.length == message_left_;
  header.opcode = begins_ ? codec::opcode_of(says.kind) : codec::websocket_opcode::continuation;
  if (mask_) header.mask = key_ = ws_mask_key();
  key_offset_ = 0;
  begins_ = false;
  frame_due_ = false;
  frame_left_ = header.length;
  return codec::encode_websocket_header(out, header);
}

void ws_output::advance_payload(std::size_t n) noexcept {
  frame_left_ -= n;
  message_left_ -= n;
  frame_due_ = frame_left_ == 0 && message_left_ != 0;
}

bool ws_output::write_plain(ws_input& in, mutable_bytes out, step& done) noexcept {
  if (frame_due_) {
    if (out.size() - done.written < codec::k_max_websocket_header) return false;
    done.written += begin_frame(out.data() + done.written);
  }
  if (frame_left_ == 0) return true;  // an empty one
  if (in.empty()) return false;
  const bytes here =
      in.front().first(static_cast<std::size_t>(std::min<std::uint64_t>(in.front().size(), frame_left_)));
  if (!mask_ && here.size() >= k_view) {
    done.view = here;
    return false;
  }
  const auto room = out.subspan(done.written, std::min(here.size(), out.size() - done.written));
  if (room.empty()) return false;
  std::memcpy(room.data(), here.data(), room.size());
  if (mask_) {
    codec::apply_websocket_mask(room, key_, key_offset_);
    key_offset_ = static_cast<std::uint8_t>((key_offset_ + room.size()) % key_.size());
  }
  in.advance(room.size());
  done.taken += room.size();
  done.written += room.size();
  advance_payload(room.size());
  return true;
}

bool ws_output::write_compressed(ws_input& in, mutable_bytes out, step& done) noexcept {
  const auto says = codec::parts_framing::read_header(header_.data());
  const auto room = out.subspan(done.written);
  const bytes front = in.empty() ? bytes() : in.front();
  bytes part = front.first(static_cast<std::size_t>(std::min<std::uint64_t>(front.size(), message_left_)));
  while (!part.empty() && compressor_->bound(part.size()) > room.size()) part = part.first(part.size() / 2);
  if (compressor_->bound(part.size()) > room.size() || (part.empty() && message_left_ != 0)) return false;
  const bool ends = part.size() == message_left_ && !says.more;
  auto written = [&]() -> result<std::size_t> {
    if (frame_due_ && begins_ && ends) return compressor_->encode({part, says.kind}, room);
    if (frame_due_ && begins_)
      if (const auto begun = compressor_->begin(says.kind); !begun) return begun.error();
    return ends ? compressor_->end(part, room) : compressor_->append(part, room);
  }();
  if (!written) {
    done.fault = written.error();
    return false;
  }
  frame_due_ = begins_ = false;
  in.advance(part.size());
  message_left_ -= part.size();
  done.taken += part.size();
  done.written += *written;
  return true;
}

}  // namespace ferry::net
