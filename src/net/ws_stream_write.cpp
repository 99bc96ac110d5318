// What a WebSocket stream writes: frames of messages, and between them what it says itself.
#include <algorithm>
#include <cstring>
#include <new>

#include "codec/parts_framing.hpp"
#include "net/ws_stream.hpp"

namespace ferry::net {

constexpr std::size_t k_small = 2048;                // bytes of frames that are made on the stack
constexpr std::size_t k_large = 256u << 10;          // and in a buffer, at once
constexpr std::size_t k_worth_a_buffer = 1024;       // bytes that wait to be written
constexpr std::size_t k_most_held = k_large + 4096;  // of what the stream below has not taken
constexpr std::size_t k_replies = 1024;              // bytes of control frames that wait
constexpr std::size_t k_control = codec::websocket_encoder::k_max_control_frame;

result<std::size_t> ws_stream::try_write(std::span<const bytes> from) noexcept {
  if (auto out = send_answer(); !out) return out.error();
  if (write_fault_) return *write_fault_;
  if (!closing_.may_send()) return errc::closed;
  if (frames_wait())
    if (const auto out = write_held(); !out) return out.error();
  std::size_t taken = std::exchange(owed_, std::uint8_t{0});
  ws_input in(from, taken);
  std::array<std::byte, k_small> small;  // NOLINT: filled as far as it is used
  pooled_buffer large;
  while (!in.empty()) {
    if (replies_wait()) {
      if (const auto out = flush_replies(); !out) {
        if (taken != 0) return taken;
        return out.error();
      }
    }
    const std::size_t left = in.size();
    if (!large && left > k_worth_a_buffer) large = pool().acquire(std::min(left + left / 4 + k_small, k_large));
    const mutable_bytes room = large ? mutable_bytes(large.data(), large.capacity()) : mutable_bytes(small);
    const auto step = output_.write(in, room);
    if (step.fault) {
      write_fault_ = *step.fault;
      return *write_fault_;
    }
    const std::array<bytes, 2> parts{bytes(room).first(step.written), step.view};
    const auto sent = below_->try_write(std::span(parts).first(step.view.empty() ? 1 : 2));
    if (!sent && sent.error() != errc::would_block) {
      write_fault_ = sent.error();
      return *write_fault_;
    }
    const std::size_t n = sent ? *sent : 0;
    wrote_ = wrote_ || n != 0;
    taken += step.taken;
    if (n < step.written) {
      if (const auto kept = hold(parts[0].subspan(n)); !kept) return kept.error();
      if (taken == 0) return errc::would_block;
      owed_ = taken > 1 ? 1 : 0;  // so that the caller comes back, and knows that it is not all out
      return taken - owed_;
    }
    if (step.view.empty()) continue;
    const std::size_t seen = n - step.written;
    output_.view_sent(seen);
    in.advance(seen);
    taken += seen;
    if (seen == step.view.size()) continue;
    if (taken == 0) return errc::would_block;
    return taken;
  }
  if (replies_wait()) (void)flush_replies();
  return taken;
}

std::size_t ws_stream::keep_answer(const message_view& m) noexcept {
  if (answer_ == nullptr || answer_->size != 0) return 0;
  if (write_fault_ || !closing_.may_send() || frames_wait() || owed_ != 0 || replies_wait()) return 0;
  answer_->size = output_.write_alone(m, answer_->frame);
  return answer_->size == 0 ? 0 : codec::parts_framing::k_max_header + m.payload.size();
}

result<void> ws_stream::send_kept() noexcept {
  return write_below(bytes(answer_->frame).first(std::exchange(answer_->size, 0)));
}

// Takes all of it: what the stream below does not take now is held.
result<void> ws_stream::write_below(bytes whole) noexcept {
  if (write_fault_) return *write_fault_;
  if (frames_wait()) return hold(whole);
  return hold_what_is_left(whole, below_->try_write(std::span(&whole, 1)));
}

result<void> ws_stream::hold_what_is_left(bytes whole, const result<std::size_t>& taken) noexcept {
  if (taken) return hold(whole.subspan(*taken));
  if (taken.error() == errc::would_block) return hold(whole);
  write_fault_ = taken.error();
  return taken.error();
}

result<void> ws_stream::hold(bytes rest) noexcept {
  if (rest.empty()) return {};
  unsent* const kept = need_unsent();
  if (kept == nullptr) {
    write_fault_ = errc::no_memory;
    return errc::no_memory;
  }
  auto& out = *kept;
  const std::size_t here = out.end - out.begin;
  if (here + rest.size() > out.frames.capacity() - out.begin) {
    pooled_buffer larger;
    if (here + rest.size() <= k_most_held) larger = pool().acquire(here + rest.size());
    if (!larger) {
      // Half a frame is out and the rest cannot be kept: the connection is of no more use.
      write_fault_ =
          described(errc::no_memory, [] { return std::string("no buffer for the rest of a WebSocket frame"); });
      return *write_fault_;
    }
    if (here != 0) std::memcpy(larger.data(), out.frames.data() + out.begin, here);
    out.frames = std::move(larger);
    out.begin = 0;
    out.end = here;
  }
  std::memcpy(out.frames.data() + out.end, rest.data(), rest.size());
  out.end += rest.size();
  return expect_room();
}

/// @return would_block while something is still held
result<void> ws_stream::write_held() noexcept {
  while (frames_wait()) {
    const bytes rest{unsent_->frames.data() + unsent_->begin, unsent_->end - unsent_->begin};
    const auto n = below_->try_write(std::span(&rest, 1));
    if (!n) {
      if (n.error() != errc::would_block) write_fault_ = n.error();
      return n.error();
    }
    unsent_->begin += *n;
    wrote_ = true;
  }
  if (unsent_ && unsent_->frames) {
    unsent_->frames.reset();
    unsent_->begin = unsent_->end = 0;
  }
  return {};
}

// Between two frames; until then it waits. A ping that comes while no more answers find room is not answered: who asks
// so often and reads nothing asks again.
void ws_stream::say(codec::websocket_opcode what, bytes payload) noexcept {
  if (!closing_.may_send()) return;
  if (replies_wait() && unsent_->replies_end + 2 * k_control > k_replies) (void)flush_replies();
  std::byte* const at = place_for_reply();
  if (at == nullptr || unsent_->replies_end + 2 * k_control > k_replies) return;  // room for a Close is kept
  codec::websocket_encoder_options how;
  if (rules_->mask) how.keys.next = &ws_mask_key;
  unsent_->replies_end += codec::websocket_encoder(how).encode_control(what, payload, at);
}

void ws_stream::say_close() noexcept {
  if (!output_.between_frames()) return;  // half a message: there is no place for a Close
  std::byte* const at = place_for_reply();
  if (at == nullptr) return;
  codec::websocket_encoder_options how;
  if (rules_->mask) how.keys.next = &ws_mask_key;
  const bool answers = ending_ && ending_->peers;
  const std::string_view reason = ending_ && !answers ? std::string_view(ending_->our_reason) : std::string_view();
  unsent_->replies_end += codec::websocket_encoder(how).encode_close(closing_.code_to_send(), reason, at);
  (void)flush_replies();
}

// Not of the pool: what is said there may be that it has come to its limit. @return null: no memory
std::byte* ws_stream::place_for_reply() noexcept {
  unsent* const out = need_unsent();
  if (out == nullptr) return nullptr;
  if (!out->replies) out->replies.reset(new (std::nothrow) std::byte[k_replies]);
  return out->replies ? out->replies.get() + out->replies_end : nullptr;
}

/// @return would_block while something is held
result<void> ws_stream::flush_replies() noexcept {
  if (!replies_wait()) return {};
  (void)send_answer();
  if (write_fault_) return *write_fault_;
  auto out = write_held();
  if (out && output_.between_frames()) out = write_replies();
  if (!out && out.error() == errc::would_block)
    if (auto waits = expect_room(); !waits) return waits;
  return out;
}

result<void> ws_stream::write_replies() noexcept {
  std::byte* const begin = unsent_->replies.get();
  std::size_t& left = unsent_->replies_end;
  while (left != 0) {
    const bytes rest{begin, left};
    const auto n = below_->try_write(std::span(&rest, 1));
    if (!n) {
      if (n.error() != errc::would_block) write_fault_ = n.error();
      return n.error();
    }
    left -= *n;
    std::memmove(begin, begin + *n, left);
  }
  unsent_->replies.reset();
  return {};
}

void ws_stream::async_wait_writable() {
  room_wanted_ = true;
  wait_for_room();
}

void ws_stream::wait_for_room() {
  if (state_ == state::closed || std::exchange(waits_for_room_, true)) return;
  try {
    below_->async_wait_writable();
  } catch (...) {
    waits_for_room_ = false;
    throw;
  }
}

// Nobody would say that there is room: then nothing more is written.
result<void> ws_stream::expect_room() noexcept {
  try {
    wait_for_room();
    return {};
  } catch (const std::bad_alloc&) {
    write_fault_ = errc::no_memory;
    return errc::no_memory;
  }
}

void ws_stream::on_writable() {
  waits_for_room_ = false;
  const auto keep = shared_from_this();
  auto out = write_held();
  if (out) out = flush_replies();
  if (!out && out.error() == errc::would_block) return wait_for_room();
  finish_sending();
  if (state_ == state::lingering && write_fault_) return end();
  if (!std::exchange(room_wanted_, false) || events_ == nullptr) return;
  const auto keep_owner = owner_;
  events_->on_writable();
}

}  // namespace ferry::net
