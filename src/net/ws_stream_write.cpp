// What a WebSocket stream writes: frames of messages, and between them what it says itself.
#include <algorithm>
#include <cstring>
#include <new>

#include "net/ws_stream.hpp"

namespace ferry::net {

constexpr std::size_t k_small = 2048;                // bytes of frames that are made on the stack
constexpr std::size_t k_large = 256u << 10;          // and in a buffer, at once
constexpr std::size_t k_worth_a_buffer = 1024;       // bytes that wait to be written
constexpr std::size_t k_most_held = k_large + 4096;  // of what the stream below has not taken
constexpr std::size_t k_replies = 1024;              // bytes of control frames that wait
constexpr std::size_t k_control = codec::websocket_encoder::k_max_control_frame;

result<std::size_t> ws_stream::try_write(std::span<const bytes> from) noexcept {
  if (write_fault_) return *write_fault_;
  if (!closing_.may_send()) return errc::closed;
  if (const auto out = write_held(); !out) return out.error();
  std::size_t taken = std::exchange(owed_, std::uint8_t{0});
  ws_input in(from, taken);
  std::array<std::byte, k_small> small;  // NOLINT: filled as far as it is used
  pooled_buffer large;
  while (!in.empty()) {
    if (const auto out = flush_replies(); !out) {
      if (taken != 0) return taken;
      return out.error();
    }
    const std::size_t left = in.size();
    if (!large && left > k_worth_a_buffer) large = pool_->acquire(std::min(left + left / 4 + k_small, k_large));
    const mutable_bytes room = large ? mutable_bytes(large.data(), large.capacity()) : mutable_bytes(small);
    const auto step = output_.write(in, room);
    if (step.fault) {
      write_fault_ = step.fault;
      return *write_fault_;
    }
    const std::array<bytes, 2> parts{bytes(room).first(step.written), step.view};
    const auto sent = below_->try_write(std::span(parts).first(step.view.empty() ? 1 : 2));
    if (!sent && sent.error() != errc::would_block) {
      write_fault_ = sent.error();
      return *write_fault_;
    }
    const std::size_t n = sent ? *sent : 0;
    taken += step.taken;
    if (n < step.written) {
      if (const auto kept = hold(parts[0].subspan(n)); !kept) return kept.error();
      if (taken == 0) return errc::would_block;
      owed_ = taken > 1 ? 1 : 0;  // so that the caller comes back, and knows that it is not all out
      return taken - owed_;
    }
    const std::size_t seen = n - step.written;
    output_.view_sent(seen);
    in.advance(seen);
    taken += seen;
    if (seen == step.view.size()) continue;
    if (taken == 0) return errc::would_block;
    return taken;
  }
  (void)flush_replies();
  return taken;
}

// Takes all of it: what the stream below does not take now is held.
result<void> ws_stream::write_below(bytes whole) noexcept {
  if (write_fault_) return *write_fault_;
  std::size_t taken = 0;
  if (held_begin_ == held_end_) {
    const auto n = below_->try_write(std::span(&whole, 1));
    if (!n && n.error() != errc::would_block) {
      write_fault_ = n.error();
      return n.error();
    }
    if (n) taken = *n;
  }
  return hold(whole.subspan(taken));
}

result<void> ws_stream::hold(bytes rest) noexcept {
  if (rest.empty()) return {};
  const std::size_t here = held_end_ - held_begin_;
  if (here + rest.size() > held_.capacity() - held_begin_) {
    pooled_buffer larger;
    if (here + rest.size() <= k_most_held) larger = pool_->acquire(here + rest.size());
    if (!larger) {
      // Half a frame is out and the rest cannot be kept: the connection is of no more use.
      write_fault_ = error(errc::no_memory, "no buffer for the rest of a WebSocket frame");
      return *write_fault_;
    }
    if (here != 0) std::memcpy(larger.data(), held_.data() + held_begin_, here);
    held_ = std::move(larger);
    held_begin_ = 0;
    held_end_ = here;
  }
  std::memcpy(held_.data() + held_end_, rest.data(), rest.size());
  held_end_ += rest.size();
  wait_for_room();
  return {};
}

/// @return would_block while something is still held
result<void> ws_stream::write_held() noexcept {
  while (held_begin_ != held_end_) {
    const bytes rest{held_.data() + held_begin_, held_end_ - held_begin_};
    const auto n = below_->try_write(std::span(&rest, 1));
    if (!n) {
      if (n.error() != errc::would_block) write_fault_ = n.error();
      return n.error();
    }
    held_begin_ += *n;
  }
  if (held_) {
    held_.reset();
    held_begin_ = held_end_ = 0;
  }
  return {};
}

// Between two frames; until then it waits. A ping that comes while no more answers find room is not answered: who asks
// so often and reads nothing asks again.
void ws_stream::say(codec::websocket_opcode what, bytes payload) noexcept {
  if (!closing_.may_send()) return;
  if (!replies_) replies_ = pool_->acquire(k_replies);
  if (!replies_) return;
  if (replies_end_ + 2 * k_control > replies_.capacity()) (void)flush_replies();
  if (!replies_) replies_ = pool_->acquire(k_replies);
  if (!replies_ || replies_end_ + 2 * k_control > replies_.capacity()) return;  // room for a Close is kept
  codec::websocket_encoder_options how;
  if (rules_->mask) how.keys.next = &ws_mask_key;
  replies_end_ += codec::websocket_encoder(how).encode_control(what, payload, replies_.data() + replies_end_);
}

void ws_stream::say_close() noexcept {
  if (!output_.between_frames()) return;  // half a message: there is no place for a Close
  if (!replies_) replies_ = pool_->acquire(k_replies);
  if (!replies_) return;
  codec::websocket_encoder_options how;
  if (rules_->mask) how.keys.next = &ws_mask_key;
  const bool answers = ending_ && ending_->peers;
  const std::string_view reason = ending_ && !answers ? std::string_view(ending_->our_reason) : std::string_view();
  replies_end_ +=
      codec::websocket_encoder(how).encode_close(closing_.code_to_send(), reason, replies_.data() + replies_end_);
  (void)flush_replies();
}

/// @return would_block while something is held
result<void> ws_stream::flush_replies() noexcept {
  if (replies_end_ == 0) return {};
  if (write_fault_) return *write_fault_;
  if (const auto out = write_held(); !out) {
    if (out.error() == errc::would_block) wait_for_room();
    return out;
  }
  if (!output_.between_frames()) return {};
  const pooled_buffer own = std::move(replies_);
  const auto out = write_below({own.data(), std::exchange(replies_end_, 0)});
  if (!out) return out;
  return held_begin_ == held_end_ ? result<void>() : result<void>(errc::would_block);
}

void ws_stream::async_wait_writable() {
  room_wanted_ = true;
  wait_for_room();
}

void ws_stream::wait_for_room() noexcept {
  if (state_ == state::closed || std::exchange(waits_for_room_, true)) return;
  below_->async_wait_writable();
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
