// The life of a stream channel: connecting, up, lost, reconnecting, ending; and its deadlines.
#pragma once

#include <boost/asio/post.hpp>

#include "channel/describe.hpp"
#include "channel/stream_channel.hpp"
#include "os/random.hpp"

namespace ferry::detail {

template <codec::framing F>
stream_channel<F>::stream_channel(context& where, std::string url, std::shared_ptr<const options> with,
                                  std::unique_ptr<destination> to)
    : channel_impl(where, std::move(url), std::move(with), {F::k_carries_kind, F::k_carries_type}),
      to_(std::move(to)),
      backoff_(backoff_of(*options_)),
      deadlines_(deadlines_of(*options_)),
      timer_(where.io()),
      inbound_(where.buffers(), options_->max_message, options_->batch_bytes),
      outbox_(where.buffers(), options_->batch_bytes),
      staging_(where.buffers(), options_->batch_bytes) {}

template <codec::framing F>
stream_channel<F>::~stream_channel() {
  attempt_.reset();
  if (stream_) stream_->close();
}

template <codec::framing F>
void stream_channel<F>::let_go() noexcept {
  refuses_ = true;
  attempt_.reset();
  timer_.cancel();
  slot_.reset();
  if (stream_) stream_->close();
}

template <codec::framing F>
void stream_channel<F>::connect() {
  if (to_ && !attempt_ && state() == channel_state::connecting) dial();
}

template <codec::framing F>
void stream_channel<F>::dial() {
  enter(channel_state::connecting);
  deadlines_.on_connecting(now());
  attempt_ =
      to_->transport->connect(where_, to_->where, *options_, [this](auto outcome) { connected(std::move(outcome)); });
  arm_timer();
}

template <codec::framing F>
void stream_channel<F>::connected(result<std::shared_ptr<stream>> outcome) {
  const auto keep = this->shared_from_this();
  attempt_.reset();
  if (!outcome) return attempt_failed(outcome.error());
  where_.totals().connections_made.add(1);
  go_up(std::move(*outcome));
}

template <codec::framing F>
void stream_channel<F>::start(std::shared_ptr<stream> connected, std::shared_ptr<void> slot) {
  if (state() == channel_state::closed) return connected->close();
  slot_ = std::move(slot);
  go_up(std::move(connected));
}

template <codec::framing F>
void stream_channel<F>::attempt_failed(const error& why) {
  stats_.failed_attempts += 1;
  where_.totals().connect_failures.add(1);
  where_.log(log_level::info, "channel", [&] { return url() + ": " + why.text(); });
  report_connect_failure(why);
  if (state() != channel_state::closed) retry_or_end(why);
}

template <codec::framing F>
void stream_channel<F>::retry_or_end(const error& why) {
  deadlines_.on_down();
  const auto delay = options_->reconnect && to_ ? backoff_.next(os::random_unit()) : std::nullopt;
  if (!delay || (sending_ != direction::open && unsent_bytes() == 0)) return finish(why);
  enter(channel_state::waiting);
  retry_at_ = now() + *delay;
  arm_timer();
}

template <codec::framing F>
void stream_channel<F>::go_up(std::shared_ptr<stream> connected) {
  stream_ = std::move(connected);
  stream_->attach(*this, this->shared_from_this());
  enter(sending_ == direction::open ? channel_state::up : channel_state::closing);
  receiving_ = direction::open;
  write_blocked_ = false;
  write_error_.reset();
  inbound_.clear();
  stats_.connections += 1;
  backoff_.on_up(now());
  deadlines_.on_up(now());
  arm_timer();
  report_up(stream_->peer());
  if (!stream_) return;  // the handler cut it
  arm_read();
  post_flush();
}

// The connection is over, whoever ended it. What it had not taken wholly stays queued, if there will be another one.
template <codec::framing F>
void stream_channel<F>::lost(const error& why) {
  if (!stream_) return;
  const auto keep = this->shared_from_this();
  const std::uint64_t unread = inbound_.pending() + unread_at_cut_ + stream_->unread();
  std::exchange(stream_, nullptr)->close();
  const bool wanted_to_write = write_blocked_ || write_error_;
  read_armed_ = write_blocked_ = false;
  if (!in_batch_) inbound_.clear();
  const bool in_order = sending_ == direction::ended && receiving_ == direction::ended && why == errc::closed;
  bool cut_inside = false;
  const taken took = outbox_.rewind(cut_inside);
  taken_bytes_ += took.bytes;
  stats_.messages_sent += took.messages;
  down_info info{why, in_order ? 0 : took.messages, in_order ? 0 : took.bytes, false, unread};
  if ((cut_inside || wanted_to_write) && why != errc::closed) stats_.failed_sends += 1;
  if (took.messages != 0) head_attempts_ = 0;
  if (cut_inside && !in_order) drop_poison();
  publish_outbox();
  last_lost_ = info.messages_maybe_lost;
  stats_.messages_maybe_lost += last_lost_;
  where_.totals().messages_maybe_lost.add(info.messages_maybe_lost);
  where_.log(log_level::info, "channel", [&] { return url() + " down: " + why.text(); });

  const bool over =
      state() == channel_state::closed || !to_ || !options_->reconnect || why == errc::closed || why == errc::cancelled;
  if (over) {
    report_down(info);
    return finish(why);
  }
  backoff_.on_down(now(), stats_.messages_received != received_before_);
  received_before_ = stats_.messages_received;
  info.will_reconnect = true;
  enter(channel_state::waiting);
  report_down(info);
  if (state() == channel_state::waiting) retry_or_end(why);
}

// A message that is cut off again and again may be what ends the connections: larger than the peer's limit, for
// example.
template <codec::framing F>
void stream_channel<F>::drop_poison() {
  head_attempts_ += 1;
  if (options_->max_send_attempts == 0 || head_attempts_ < options_->max_send_attempts) return;
  head_attempts_ = 0;
  stats_.messages_poisoned += 1;
  where_.totals().messages_poisoned.add(1);
  where_.log(log_level::error, "channel", [&] {
    return url() + ": a message of " + std::to_string(outbox_.first_frame().size()) + " bytes was cut off " +
           std::to_string(options_->max_send_attempts) + " times (max_send_attempts) and is dropped";
  });
  report_poisoned(outbox_.first_frame());
  taken_bytes_ += outbox_.first_frame().size();
  outbox_.drop_first_frame();
}

template <codec::framing F>
void stream_channel<F>::finish(const error& why) {
  if (stream_) return lost(why);
  attempt_.reset();
  retry_at_.reset();
  timer_.cancel();
  refuses_ = true;
  collect_staged();
  close_report report{why, outbox_.messages(), outbox_.byte_count(), last_lost_};
  outbox_.clear();
  slot_.reset();
  ended(std::move(report));
}

template <codec::framing F>
void stream_channel<F>::half_close() {
  if (sending_ != direction::open || state() == channel_state::closed) return;
  sending_ = direction::ending;
  refuses_ = true;
  if (state() == channel_state::up) enter(channel_state::closing);
  post_flush();
}

template <codec::framing F>
result<void> stream_channel<F>::end_receiving() {
  if (!stream_ || receiving_ != direction::open) return errc::closed;
  return stream_->shutdown_read();
}

template <codec::framing F>
void stream_channel<F>::closing_begins(std::optional<options::duration> within) {
  deadlines_.on_closing(now(), within);
  arm_timer();
}

template <codec::framing F>
void stream_channel<F>::cut(const error& why) {
  if (state() == channel_state::closed) return;
  enter(channel_state::closed);
  refuses_ = true;
  attempt_.reset();
  if (stream_) {
    unread_at_cut_ = stream_->unread();
    stream_->close();
  }
  boost::asio::post(where_.io(), [self = std::static_pointer_cast<stream_channel>(this->shared_from_this()), why] {
    self->finish(why);
  });
}

template <codec::framing F>
void stream_channel<F>::peer_ended() {
  if (inbound_.pending() != 0)
    return read_failed(error(errc::truncated, "the peer ended inside a message, of which " +
                                                  std::to_string(inbound_.pending()) + " bytes had come"));
  receiving_ = direction::ended;
  if (sending_ == direction::ended) return lost(errc::closed);  // it had read everything before it ended
  if (sending_ == direction::open && to_ && options_->reconnect) return lost(errc::end_of_stream);
  // The other direction may go on: what is queued is still wanted by a peer that has only ended its own.
  if (sending_ == direction::open && receiver_is_busy()) return tell_receiver();
  if (sending_ == direction::open) end_with_the_peer();
  post_flush();
}

template <codec::framing F>
void stream_channel<F>::end_with_the_peer() {
  if (std::exchange(peer_end_told_, true) || report_peer_end()) return;
  sending_ = direction::ending;
  refuses_ = true;
  enter(channel_state::closing);
  closing_begins({});
}

template <codec::framing F>
void stream_channel<F>::end_was_taken() {
  if (!stream_ || state() != channel_state::up || receiving_ != direction::ended || end_posted_) return;
  // Posted: handlers are not called from inside a call.
  end_posted_ = true;
  boost::asio::post(where_.io(), [self = std::static_pointer_cast<stream_channel>(this->shared_from_this())] {
    self->end_posted_ = false;
    if (!self->stream_ || self->state() != channel_state::up || self->receiving_ != direction::ended) return;
    if (self->sending_ == direction::open) self->end_with_the_peer();
    self->post_flush();
  });
}

// Time --------------------------------------------------------------------------------------------

template <codec::framing F>
void stream_channel<F>::arm_timer() {
  auto next = deadlines_.next();
  if (retry_at_ && (!next || *retry_at_ < *next)) next = retry_at_;
  // A deadline that moves later lets the timer fire early once, which is cheaper than setting it for every batch.
  if (!next || (timer_set_for_ && *timer_set_for_ <= *next)) return;
  timer_set_for_ = next;
  timer_.expires_at(*next);
  timer_.async_wait([weak = this->weak_from_this()](const boost::system::error_code& failed) {
    if (failed) return;
    if (const auto self = std::static_pointer_cast<stream_channel>(weak.lock())) {
      self->timer_set_for_.reset();
      self->on_timer();
    }
  });
}

template <codec::framing F>
void stream_channel<F>::on_timer() {
  if (state() == channel_state::closed) return;
  if (retry_at_ && *retry_at_ <= now()) {
    retry_at_.reset();
    dial();
  }
  if (const auto which = deadlines_.check(now())) on_deadline(*which);
  if (state() != channel_state::closed) arm_timer();
}

template <codec::framing F>
void stream_channel<F>::on_deadline(session::deadline which) {
  const error why = describe_deadline(which, *options_, outbox_.byte_count());
  switch (which) {
    case session::deadline::connect: attempt_.reset(); return attempt_failed(why.in("connect to " + url()));
    case session::deadline::close: return finish(why);
    case session::deadline::read_idle:
    case session::deadline::idle:
      // Whoever does not ask for messages cannot blame the peer for their absence.
      if (!wants_messages()) return deadlines_.on_read(now());
      return lost(why);
    case session::deadline::write:
    case session::deadline::write_idle: return lost(why);
  }
}

}  // namespace ferry::detail
