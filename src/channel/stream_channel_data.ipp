// What a stream channel does with bytes: read, deliver, queue, write.
#pragma once

#include <array>
#include <boost/asio/post.hpp>

#include "channel/describe.hpp"
#include "channel/stream_channel.hpp"

namespace ferry::detail {

inline constexpr int k_reads_per_turn = 16;               // then other channels of the io_context have their turn
inline constexpr std::uint64_t k_many_messages = 8192;    // taken from what was read: the same
inline constexpr std::size_t k_probably_more = 4096;      // a read of so much is worth another one at once
inline constexpr std::size_t k_direct_bytes = 64u << 10;  // payloads of this size are written without a copy first
inline constexpr std::size_t k_bulk_bytes = 16u << 10;    // a read of so much is part of a long flow
inline constexpr auto k_bulk_spin = std::chrono::microseconds(15);  // and it costs less to look again than to be woken
inline constexpr auto k_spin_turn = std::chrono::microseconds(20);
inline constexpr int k_looks_per_clock = 8;
inline constexpr std::uint8_t k_lone_answers = 8;  // batches in a row with one answer: the next one has no more either

// Reading -----------------------------------------------------------------------------------------

template <codec::framing F>
void stream_channel<F>::arm_read() {
  if (!stream_ || read_armed_ || !receiving() || !wants_messages()) return;
  inbound_.settle();
  read_armed_ = true;
  if (bare_ != nullptr && bare_->async_wait_readable(*this)) return;
  if constexpr (!codec::carries_parts<F>) {
    read_armed_ = false;
    const auto room = inbound_.room(false);
    if (!room) return lost(room.error());
    room_size_ = room->size();
    read_armed_ = true;
    stream_->async_read(*room);
  }
}

template <codec::framing F>
void stream_channel<F>::on_read(result<std::size_t> outcome) {
  read_armed_ = false;
  if (!outcome) return read_failed(outcome.error());
  inbound_.filled(*outcome);
  count_read(*outcome);
  pump(*outcome == room_size_);
}

template <codec::framing F>
void stream_channel<F>::on_readable() {
  read_armed_ = false;
  pump(true);
}

template <codec::framing F>
void stream_channel<F>::count_read(std::size_t n) {
  stats_.reads += 1;
  where_.totals().reads.add(1);
  if constexpr (codec::carries_parts<F>) return;  // counted as they were sent: take()
  stats_.bytes_received += n;
  where_.totals().bytes_received.add(n);
}

template <codec::framing F>
void stream_channel<F>::resume_reading() {
  if (!stream_ || read_armed_ || pump_posted_ || !receiving()) return;
  const auto keep = this->shared_from_this();
  pump(true);
}

// These three are inline for what os::receive() says of returns.

template <codec::framing F>
inline bool stream_channel<F>::take(const message_view& m) {
  if constexpr (codec::carries_parts<F>) stats_.bytes_received += F::k_max_header + m.payload.size();
  if (m.payload.empty() && !options_->deliver_empty && m.whole()) return true;
  if (undisturbed()) [[likely]] {
    deliver_undisturbed(m);
  } else if (!deliver(m)) {
    if constexpr (codec::carries_parts<F>) stats_.bytes_received -= F::k_max_header + m.payload.size();
    return false;
  }
  stats_.messages_received += 1;
  return true;
}

template <codec::framing F>
[[gnu::always_inline]] inline std::uint64_t stream_channel<F>::take_messages(std::optional<error>& wrong) {
  const auto before = stats_.messages_received;
  const auto bytes_before = stats_.bytes_received;
  const auto keep = stream_;  // it may be what hands them on
  std::uint64_t count = 0;
  const auto outcome = inbound_.take([this, &count](const message_view& m) { return take(m) && ++count != 0; });
  where_.totals().messages_received.add(stats_.messages_received - before);
  where_.totals().bytes_received.add(stats_.bytes_received - bytes_before);
  if (outcome) return count;
  if (codec::carries_parts<F> && count != 0)
    write_error_ = outcome.error();
  else
    wrong = outcome.error();
  return count;
}

template <codec::framing F>
inline result<std::size_t> stream_channel<F>::read_once() {
  if constexpr (codec::carries_parts<F>) {
    return inbound_.fill();
  } else {
    const auto room = inbound_.room(true);
    if (!room) return room.error();
    auto n = stream_->try_read(*room);
    if (n) inbound_.filled(*n);
    return n;
  }
}

template <codec::framing F>
[[gnu::always_inline]] inline std::size_t stream_channel<F>::read_more(std::optional<error>& wrong) {
  const auto n = read_once();
  if (!n) {
    if (n.error() != errc::would_block) wrong = n.error();
    return 0;
  }
  count_read(*n);
  spin_until_.reset();
  bulk_ = bulk_ || *n >= k_bulk_bytes;
  return *n;
}

// Delivers what has been read, reads on while there is more, and lets the answers out in one batch per read. Whoever
// calls keeps us.
template <codec::framing F>
void stream_channel<F>::pump(bool more) {
  in_batch_ = true;
  answers_ = 0;
  delivering_begins();
  std::optional<error> wrong;
  bool untaken = !inbound_.empty();  // bytes are here that nobody has looked at
  const auto written = stats_.writes;
  std::uint64_t taken = 0;
  for (int turn = 0; turn < k_reads_per_turn; ++turn) {
    if (untaken) taken += take_messages(wrong);
    untaken = false;
    if (wrong || !stream_ || !wants_messages()) break;
    if (more && taken >= k_many_messages) break;
    if (!outbox_.empty()) write_some();
    // Who was answered waits for that, and has said all; what has come nevertheless is told.
    const bool answered = stats_.writes != written;
    more = more && (turn == 0 || !answered);
    const std::size_t got = more ? read_more(wrong) : spin_for_bytes(answered, wrong);
    if (wrong || (got == 0 && !more)) break;
    more = got >= k_probably_more;
    untaken = got != 0;
  }
  in_batch_ = false;
  delivering_ends();
  if (answers_ != 0)
    lone_answers_ = answers_ == 1 ? static_cast<std::uint8_t>(std::min<int>(lone_answers_ + 1, k_lone_answers)) : 0;
  if (state() == channel_state::closed || !stream_) return;
  const auto when = now_if_idleness_counts();
  deadlines_.on_read(when);
  if (wrong) return read_failed(*wrong);
  if (!outbox_.empty()) write_some();
  all_is_written() ? deadlines_.on_write_done(when) : after_write(when);
  if (stream_ && wants_messages() && (untaken || more || spin_until_)) return pump_later(more);
  outbox_.settle();
  arm_read();
}

template <codec::framing F>
void stream_channel<F>::pump_later(bool more) {
  if (std::exchange(pump_posted_, true)) return;
  boost::asio::post(where_.io(), [self = this->template self_as<stream_channel>(), more] {
    self->pump_posted_ = false;
    if (self->stream_ && !self->read_armed_) self->pump(more);
  });
}

// With `spin`, looks again and again for a while instead of going to sleep, in turns, so that others have theirs.
// Without it only within a long flow in one direction: a peer that is answered may wait for the answer.
template <codec::framing F>
std::size_t stream_channel<F>::spin_for_bytes(bool answers, std::optional<error>& wrong) {
  const auto window = std::max(options_->spin, bulk_ && !answers ? k_bulk_spin : options::duration{0});
  if (window.count() == 0) return 0;
  const auto begin = now();
  if (!spin_until_) spin_until_ = begin + window;
  for (auto at = begin; at < *spin_until_ && at < begin + k_spin_turn; at = now())
    for (int i = 0; i < k_looks_per_clock; ++i)
      if (const std::size_t n = read_more(wrong); n != 0 || wrong) return n;
  if (now() >= *spin_until_) {
    spin_until_.reset();
    bulk_ = false;
  }
  return 0;
}

// Before a connection that cannot be written to is given up: the peer may have said something before it went.
template <codec::framing F>
void stream_channel<F>::read_what_is_left() {
  in_batch_ = true;
  delivering_begins();
  std::optional<error> wrong;
  while (!wrong && stream_ && wants_messages() && read_more(wrong) != 0) take_messages(wrong);
  if (wrong && stream_ && stream_->peer_close_note()) write_error_ = *wrong;  // it says more
  in_batch_ = false;
  delivering_ends();
}

// Writing -----------------------------------------------------------------------------------------

template <codec::framing F>
bool stream_channel<F>::admits(const message_view& m, std::size_t waiting_bytes, std::size_t waiting_messages) const {
  // A queue that is empty takes one message of any size.
  const bool full = waiting_bytes != 0 && waiting_bytes + m.payload.size() > options_->send_queue_bytes;
  const bool many = options_->send_queue_messages != 0 && waiting_messages >= options_->send_queue_messages;
  return !refuses_.load(std::memory_order_relaxed) && m.payload.size() <= options_->max_message &&
         (F::k_carries_type || m.type == 0) && !full && !many;
}

// Why a message was not admitted.
template <codec::framing F>
error stream_channel<F>::refusal(const message_view& m) const {
  if (refuses_.load(std::memory_order_relaxed)) return errc::closed;
  if (m.payload.size() > options_->max_message) return describe_too_large(m.payload.size(), *options_);
  if (!F::k_carries_type && m.type != 0) return describe_no_type(m.type, F::k_name);
  return errc::full;
}

template <codec::framing F>
result<void> stream_channel<F>::try_send(const message_view& m) {
  if constexpr (!codec::carries_parts<F>) {
    return staging_ ? try_send_shared(m) : try_send_alone(m);
  } else if (staging_) {
    if (m.more) return error(errc::unsupported, "a message in parts needs senders=one");
    parts_sender alone;
    message_view placed = m;
    if (const auto fits = alone.place(placed); !fits) return fits;
    return try_send_shared(placed);
  } else {
    if (parts_.lets_pass(m)) return try_send_alone(m);
    message_view placed = m;
    if (const auto fits = parts_.place(placed); !fits) return fits;
    auto sent = try_send_alone(placed);
    if (sent) parts_.sent(placed);
    return sent;
  }
}

template <codec::framing F>
result<void> stream_channel<F>::try_send_alone(const message_view& m) {
  std::size_t messages = outbox_.messages_at_most();
  if (options_->send_queue_messages != 0 && messages >= options_->send_queue_messages) messages = outbox_.messages();
  if (!admits(m, outbox_.byte_count(), messages)) [[unlikely]] {
    const error why = refusal(m);
    was_full_ = was_full_ || why == errc::full;
    return why;
  }
  if (in_batch_) answers_ += 1;
  const bool direct = m.payload.size() >= k_direct_bytes ? send_directly(m) : is_lone_answer(m) && keep_lone_answer(m);
  if (!direct && !outbox_.append(m)) return errc::no_memory;
  if (outbox_.byte_count() >= options_->batch_bytes && !write_blocked_) write_some();
  if (!in_batch_ && !flush_posted_) post_flush();
  return {};
}

// Other threads only add to the staging queue; the io_context's thread takes it from there.
template <codec::framing F>
result<void> stream_channel<F>::try_send_shared(const message_view& m) {
  const std::lock_guard guard(staging_->lock);
  const std::size_t waiting = staging_->queue.byte_count() + staging_->outbox_bytes.load(std::memory_order_relaxed);
  const std::size_t messages =
      staging_->queue.messages_at_most() + staging_->outbox_messages.load(std::memory_order_relaxed);
  if (!admits(m, waiting, messages)) {
    const error why = refusal(m);
    if (why != errc::full) return why;
    // The event loop looks by itself after each write; other threads tell it once, so that it misses no drain event.
    if (where_.io().get_executor().running_in_this_thread()) {
      was_full_ = true;
    } else if (!std::exchange(staging_->was_full, true) && !std::exchange(staging_->told, true)) {
      post_staged();
    }
    return why;
  }
  if (!staging_->queue.append(m)) return errc::no_memory;
  staging_->bytes.store(staging_->queue.byte_count(), std::memory_order_relaxed);
  if (!std::exchange(staging_->told, true)) post_staged();
  return {};
}

// To the last message that has come, where none was answered before it and the answers used to be one at a time: to
// queue it would be half of all that is left to do.
template <codec::framing F>
bool stream_channel<F>::is_lone_answer(const message_view& m) const noexcept {
  return codec::carries_parts<F> && in_batch_ && answers_ == 1 && lone_answers_ == k_lone_answers && m.whole() &&
         inbound_.empty();
}

template <codec::framing F>
bool stream_channel<F>::keep_lone_answer(const message_view& m) {
  if constexpr (!codec::carries_parts<F>) {
    return false;
  } else {
    if (!may_pass_the_queue()) return false;
    const std::size_t taken = inbound_.keep_answer(m);
    return taken != 0 && passed_the_queue(m, taken, taken);
  }
}

// A large payload that nothing waits before goes to the kernel from where it lies; the rest is queued.
template <codec::framing F>
bool stream_channel<F>::send_directly(const message_view& m) {
  if (!may_pass_the_queue()) return false;
  std::array<std::byte, F::k_max_header> header;  // filled by encode_header as far as it is used
  const std::size_t header_size = F::encode_header(header.data(), m);
  const std::array<bytes, 2> parts{bytes(header).first(header_size), m.payload};
  const auto n = stream_->try_write(parts);
  if (!n) {
    if (n.error() != errc::would_block) write_error_ = n.error();
    return false;
  }
  return passed_the_queue(m, header_size + m.payload.size(), *n);
}

// What was not taken is queued.
template <codec::framing F>
bool stream_channel<F>::passed_the_queue(const message_view& m, std::size_t all, std::size_t taken) {
  count_write(taken);
  if (taken == all) {
    outbox_.on_this_connection_directly().count(taken);
    return true;
  }
  if (!outbox_.append(m)) {
    // Half a message is out and the rest cannot be kept: the connection is of no more use.
    write_error_ = error(errc::no_memory, "no buffer for the rest of a message");
    return false;
  }
  outbox_.consume(taken);
  return true;
}

template <codec::framing F>
void stream_channel<F>::count_write(std::size_t n) {
  stats_.writes += 1;
  where_.totals().writes.add(1);
  where_.totals().bytes_sent.add(n);
}

template <codec::framing F>
void stream_channel<F>::write_some() {
  if (outbox_.empty() || !stream_ || write_blocked_ || write_error_) return;
  std::array<bytes, 16> parts;
  while (!outbox_.empty()) {
    const std::size_t used = outbox_.gather(parts);
    const auto n = stream_->try_write(std::span(parts).first(used));
    if (n) {
      outbox_.consume(*n);
      count_write(*n);
      continue;
    }
    if (n.error() == errc::would_block) {
      write_blocked_ = true;
      deadlines_.on_write_pending(now());
      stream_->async_wait_writable();
    } else {
      write_error_ = n.error();
    }
    break;
  }
  publish_outbox();
}

// Where the others look when they ask whether there is room.
template <codec::framing F>
void stream_channel<F>::publish_outbox() noexcept {
  if (!staging_) return;
  staging_->outbox_bytes.store(outbox_.byte_count(), std::memory_order_relaxed);
  if (options_->send_queue_messages != 0)
    staging_->outbox_messages.store(outbox_.messages(), std::memory_order_relaxed);
}

template <codec::framing F>
void stream_channel<F>::on_writable() {
  write_blocked_ = false;
  const auto before = outbox_.byte_count();
  write_some();
  if (outbox_.byte_count() != before) deadlines_.on_write_progress(now());
  after_write();
  outbox_.settle();
}

template <codec::framing F>
void stream_channel<F>::post_flush() {
  if (std::exchange(flush_posted_, true)) return;
  boost::asio::post(where_.io(), [self = this->template self_as<stream_channel>()] {
    self->flush_posted_ = false;
    self->flush_turn();
  });
}

template <codec::framing F>
void stream_channel<F>::flush_turn() {
  collect_staged();
  if (flush_without_connection()) return;
  write_some();
  after_write();
  outbox_.settle();
}

// Whether try_send has returned full since this was last asked.
template <codec::framing F>
bool stream_channel<F>::take_was_full() {
  if (!staging_) return std::exchange(was_full_, false);
  const std::lock_guard guard(staging_->lock);
  const bool elsewhere = std::exchange(staging_->was_full, false);
  return std::exchange(was_full_, false) || elsewhere;
}

// Any thread, under the staging lock.
template <codec::framing F>
void stream_channel<F>::post_staged() {
  boost::asio::post(where_.io(), [self = this->template self_as<stream_channel>()] { self->flush_turn(); });
}

template <codec::framing F>
void stream_channel<F>::collect_staged() {
  if (!staging_) return;
  const std::lock_guard guard(staging_->lock);
  staging_->told = false;
  outbox_.splice(staging_->queue);
  staging_->bytes.store(0, std::memory_order_relaxed);
  publish_outbox();
}

template <codec::framing F>
channel_stats stream_channel<F>::stats() {
  channel_stats all = counted();
  const taken took = outbox_.on_this_connection();
  all.messages_sent += took.messages;
  all.bytes_sent = taken_bytes_ + took.bytes;
  all.send_queue_messages = outbox_.messages();
  if (staging_) {
    const std::lock_guard guard(staging_->lock);
    all.send_queue_messages += staging_->queue.messages_at_most();
  }
  all.send_queue_bytes = unsent_bytes();
  all.receive_queue_messages = received().messages();
  all.receive_queue_bytes = received().byte_count();
  if (stream_) {
    const stream_health found = stream_->health();
    all.round_trip = found.round_trip;
    all.pings_missed = found.misses;
  }
  return all;
}

}  // namespace ferry::detail
