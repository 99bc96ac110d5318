#include "channel/link_channel.hpp"

#include "channel/describe.hpp"
#include "os/random.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

link_channel::link_channel(context& where, shared_url url, std::shared_ptr<const options> with, transport_traits traits,
                           bool connects)
    : channel_impl(where, std::move(url), std::move(with), traits),
      connects_(connects),
      dialling_(connects ? std::make_unique<dialling>(dialling{backoff_of(*options_), {}}) : nullptr) {}

void link_channel::let_go() noexcept {
  refuse_messages();
  end_attempt();
  cancel_timer(io());
  slot_.reset();
  abort_connection();
  drop_rest();
}

channel_stats link_channel::counted() const noexcept {
  channel_stats all;
  all.messages_sent = stats_.messages_sent;
  all.messages_received = stats_.messages_received;
  all.bytes_sent = stats_.bytes_sent;
  all.bytes_received = stats_.bytes_received;
  all.writes = stats_.writes;
  all.reads = stats_.reads;
  all.connections = connections_;
  if (!losses_) return all;
  all.failed_attempts = losses_->failed_attempts;
  all.messages_maybe_lost = losses_->messages_maybe_lost;
  all.messages_poisoned = losses_->messages_poisoned;
  all.failed_sends = losses_->failed_sends;
  return all;
}

// Connecting --------------------------------------------------------------------------------------

void link_channel::connect() {
  if (connects_ && !attempting() && state() == channel_state::connecting) dial();
}

void link_channel::dial() {
  enter(channel_state::connecting);
  deadlines_.on_connecting(now());
  begin_attempt();
  arm_timer();
}

void link_channel::connected() {
  const auto keep = shared_from_this();
  where_.totals().connections_made.add(1);
  go_up();
}

void link_channel::accepted(std::shared_ptr<void> slot) {
  if (state() == channel_state::closed) return;  // cut before the listener had it
  slot_ = std::move(slot);
  if (attached()) return go_up();
  if (!outlives_connection()) return;
  deadlines_.on_away(now());
  arm_timer();
}

void link_channel::attempt_failed(const error& why) {
  const auto keep = shared_from_this();
  losses_.need().failed_attempts += 1;
  where_.totals().connect_failures.add(1);
  where_.log(log_level::info, "channel", [&] { return url() + ": " + why.text(); });
  report_connect_failure(why);
  if (state() != channel_state::closed) retry_or_end(why);
}

void link_channel::retry_or_end(const error& why) {
  deadlines_.on_down();
  const auto delay = options_->reconnect && connects_ ? dialling_->backoff.next(os::random_unit()) : std::nullopt;
  const bool waits = delay || (!connects_ && outlives_connection());
  if (!waits || (sending_ != direction::open && unsent_bytes() == 0)) return finish(why);
  enter(channel_state::waiting);
  if (delay)
    dialling_->retry_at = now() + *delay;
  else
    deadlines_.on_away(now());
  arm_timer();
}

void link_channel::go_up() {
  auto who = begin_connection();
  enter(sending_ == direction::open ? channel_state::up : channel_state::closing);
  receiving_ = direction::open;
  connections_ += 1;
  if (dialling_) dialling_->backoff.on_up(now());
  deadlines_.on_up(now());
  arm_timer();
  report_up(std::move(who));
  if (!attached()) return;  // the handler cut it
  begin_flow();
  post_flush();
}

// Losing ------------------------------------------------------------------------------------------

void link_channel::lost(const error& why) {
  if (!attached()) return;
  const auto keep = shared_from_this();
  const remains left = end_connection();
  const bool in_order = sending_ == direction::ended && receiving_ == direction::ended && why == errc::closed;
  taken_bytes_ += left.took.bytes;
  stats_.messages_sent += left.took.messages;
  down_info info{why, in_order ? 0 : left.took.messages, in_order ? 0 : left.took.bytes, false, left.unread_bytes};
  auto& losses = losses_.need();
  if ((left.cut_inside || left.wanted_to_write) && why != errc::closed) losses.failed_sends += 1;
  if (left.took.messages != 0) losses.head_attempts = 0;
  if (left.cut_inside && !in_order) drop_poison();
  losses.last_lost = info.messages_maybe_lost;
  losses.messages_maybe_lost += info.messages_maybe_lost;
  where_.totals().messages_maybe_lost.add(info.messages_maybe_lost);
  where_.log(log_level::info, "channel", [&] { return url() + " down: " + why.text(); });

  const bool over = state() == channel_state::closed || !comes_back() || why == errc::closed || why == errc::cancelled;
  if (over) {
    report_down(info);
    return finish(why);
  }
  if (dialling_) dialling_->backoff.on_down(now(), stats_.messages_received != losses.messages_received);
  losses.messages_received = stats_.messages_received;
  info.will_reconnect = true;
  enter(channel_state::waiting);
  report_down(info);
  if (state() == channel_state::waiting) retry_or_end(why);
}

// A message that is cut off again and again may be what ends the connections: larger than the peer's limit, for
// example.
void link_channel::drop_poison() {
  auto& losses = losses_.need();
  losses.head_attempts += 1;
  if (options_->max_send_attempts == 0 || losses.head_attempts < options_->max_send_attempts) return;
  losses.head_attempts = 0;
  losses.messages_poisoned += 1;
  where_.totals().messages_poisoned.add(1);
  where_.log(log_level::error, "channel", [&] {
    return url() + ": a message of " + std::to_string(first_frame().size()) + " bytes was cut off " +
           std::to_string(options_->max_send_attempts) + " times (max_send_attempts) and is dropped";
  });
  report_poisoned(first_frame());
  taken_bytes_ += first_frame().size();
  drop_first_frame();
}

void link_channel::finish(const error& why) {
  if (attached()) return lost(why);
  end_attempt();
  if (dialling_) dialling_->retry_at.reset();
  cancel_timer(io());
  refuse_messages();
  const taken unsent = drop_queue();
  slot_.reset();
  complete_rest();
  ended({why, unsent.messages, unsent.bytes, losses_ ? losses_->last_lost : 0});
}

void link_channel::cut(const error& reason) {
  if (state() == channel_state::closed) return;
  enter(channel_state::closed);
  refuse_messages();
  end_attempt();
  abort_connection();
  asio::post(where_.io(), [self = self_as<link_channel>(), reason] { self->finish(reason); });
}

// Ending in order ---------------------------------------------------------------------------------

void link_channel::half_close() {
  if (sending_ != direction::open || state() == channel_state::closed) return;
  sending_ = direction::ending;
  refuse_messages();
  if (state() == channel_state::up) enter(channel_state::closing);
  post_flush();
}

result<void> link_channel::end_receiving() {
  if (!attached() || receiving_ != direction::open) return errc::closed;
  return stop_receiving();
}

void link_channel::closing_begins(std::optional<options::duration> within) {
  deadlines_.on_closing(now(), within);
  arm_timer();
}

void link_channel::read_failed(const error& why) {
  if (why == errc::end_of_stream) return peer_ended(why);
  // What the peer complains of in its Close was not its own doing.
  if (why.code() == condition::protocol_violation && !peer_close_note()) where_.totals().protocol_errors.add(1);
  lost(why);
}

void link_channel::peer_ended(const error& how) {
  if (pending_bytes() != 0 && peer_gave_up())
    return lost(error(errc::reset, "the peer cut the connection before it had read everything"));
  if (pending_bytes() != 0)
    return read_failed(error(errc::truncated, "the peer ended inside a message, of which " +
                                                  std::to_string(pending_bytes()) + " bytes had come"));
  receiving_ = direction::ended;
  peer_end_ = how;
  // It had read everything before it ended, unless it says otherwise.
  if (sending_ == direction::ended) return lost(peer_gave_up() ? how : error(errc::closed));
  if (sending_ == direction::open && connects_ && options_->reconnect) return lost(how);
  // The other direction may go on: what is queued is still wanted by a peer that has only ended its own.
  if (sending_ == direction::open && receiver_is_busy()) return tell_receiver();
  if (sending_ == direction::open) end_with_the_peer();
  post_flush();
}

void link_channel::end_with_the_peer() {
  if (std::exchange(peer_end_told_, true) || report_peer_end()) return;
  sending_ = direction::ending;
  refuse_messages();
  enter(channel_state::closing);
  closing_begins({});
}

void link_channel::end_was_taken() {
  if (!attached() || state() != channel_state::up || receiving_ != direction::ended || end_posted_) return;
  // Posted: handlers are not called from inside a call.
  end_posted_ = true;
  asio::post(where_.io(), [self = self_as<link_channel>()] {
    self->end_posted_ = false;
    if (!self->attached() || self->state() != channel_state::up || self->receiving_ != direction::ended) return;
    if (self->sending_ == direction::open) self->end_with_the_peer();
    self->post_flush();
  });
}

// Writing -----------------------------------------------------------------------------------------

void link_channel::after_write(time_point when) {
  if (!attached()) return;
  if (write_error()) {
    read_what_is_left();
    return lost(*write_error());
  }
  if (!write_blocked()) deadlines_.on_write_done(when);
  const std::size_t low = low_mark(options_->send_queue_bytes, options_->send_queue_low_bytes);
  report_progress(unsent_bytes() <= low && take_was_full());
  if (attached() && sending_ == direction::ending && unsent_bytes() == 0) {
    sending_ = direction::ended;
    const auto told = end_sending();
    if (receiving_ == direction::ended) return lost(*peer_end_);
    if (!told) return lost(told.error());
  }
  // What was done moves deadlines to later; only what waits to be written brings one nearer.
  if (write_blocked()) arm_timer();
}

bool link_channel::flush_without_connection() {
  if (state() == channel_state::closed) return true;
  if (attached() || sending_ != direction::ending || unsent_bytes() != 0) return false;
  finish(errc::closed);
  return true;
}

// Time --------------------------------------------------------------------------------------------

void link_channel::arm_timer() {
  auto next = deadlines_.next(limits_of(*options_));
  if (dialling_ && dialling_->retry_at && (!next || *dialling_->retry_at < *next)) next = dialling_->retry_at;
  if (next) set_timer(io(), *next);
}

void link_channel::on_time() {
  const auto keep = shared_from_this();
  if (state() == channel_state::closed) return;
  if (dialling_ && dialling_->retry_at && *dialling_->retry_at <= now()) {
    dialling_->retry_at.reset();
    dial();
    report_attempt(attempt_step::again);
    if (state() == channel_state::closed) return;
  }
  if (attached()) catch_up();
  if (const auto which = deadlines_.check(limits_of(*options_), now())) on_deadline(*which);
  if (state() != channel_state::closed) arm_timer();
}

void link_channel::on_deadline(session::deadline which) {
  const error why = describe_deadline(which, *options_, unsent_bytes());
  switch (which) {
    case session::deadline::connect: end_attempt(); return attempt_failed(why.in("connect to " + url()));
    case session::deadline::close: return finish(why);
    case session::deadline::away:
      report_connect_failure(why);
      return state() == channel_state::closed ? void() : finish(why);
    case session::deadline::read_idle:
    case session::deadline::idle:
      // Whoever does not ask for messages cannot blame the peer for their absence.
      if (!wants_messages() || ask_for_life()) return deadlines_.on_read(now());
      return lost(why);
    case session::deadline::write:
      if (peer_takes_slowly()) return deadlines_.on_write_progress(now());
      return lost(why);
    case session::deadline::write_idle:
      if (ask_for_life()) return deadlines_.on_write_progress(now());
      return lost(why);
  }
}

}  // namespace ferry::detail
