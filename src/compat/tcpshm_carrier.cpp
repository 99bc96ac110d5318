#include "compat/tcpshm_carrier.hpp"

#include <algorithm>
#include <cstring>

#include "channel/describe.hpp"
#include "compat/tcpshm_link.hpp"

namespace ferry::compat::tcpshm {
namespace asio = boost::asio;

carrier::carrier(context& where, std::string url, const carried_options& how, bool connects)
    : link_channel(where, std::move(url), how.channel, {false, true}, connects),
      plain_type_(static_cast<std::uint16_t>(how.channel->tcpshm_plain_type)),
      queue_bytes_(how.channel->send_queue_bytes) {}

// Sending -------------------------------------------------------------------------------------------------------------

result<void> carrier::try_send(const message_view& m) {
  if (refuses_) return errc::closed;
  if (m.more) return error(errc::unsupported, "tcpshm has no messages in parts");
  if (m.payload.size() > options_->max_message) return detail::describe_too_large(m.payload.size(), *options_);
  if (m.type == plain_type_)
    return error(errc::unsupported, "type " + std::to_string(m.type) +
                                        " is what a message without a type has over there (tcpshm_plain_type)");
  message_header* const to = conn_ == nullptr ? nullptr : conn_->alloc(m.payload.size());
  if (to == nullptr) {
    was_full_ = true;  // whoever polls looks for room; asked to do so now, it would never rest
    return errc::full;
  }
  to->msg_type = m.type == 0 ? plain_type_ : m.type;
  if (!m.payload.empty()) std::memcpy(to->body(), m.payload.data(), m.payload.size());
  const std::uint64_t before = conn_->link_->pushed_bytes();
  if (const auto failed = conn_->push_more()) return error(errc::corrupt, "the queue is damaged: " + failed.message());
  pushed_ += conn_->link_->pushed_bytes() - before;
  stats_.messages_sent += 1;
  stats_.bytes_sent += m.payload.size();
  where_.totals().bytes_sent.add(m.payload.size());
  poke();
  return {};
}

// What an earlier process left is sent too, but nobody here waits for it.
std::size_t carrier::unsent_bytes() const noexcept {
  return conn_ == nullptr ? 0
                          : static_cast<std::size_t>(std::min<std::uint64_t>(conn_->unacknowledged_bytes(), pushed_));
}

std::uint64_t carrier::unsent_messages() const noexcept {
  return conn_ == nullptr ? 0 : std::min(conn_->link_->unacknowledged_messages(), stats_.messages_sent);
}

bool carrier::take_was_full() {
  const bool room = conn_ != nullptr && conn_->unacknowledged_bytes() <= queue_bytes_ / 2;
  return room && std::exchange(was_full_, false);
}

void carrier::post_flush() {
  if (std::exchange(flush_posted_, true)) return;
  asio::post(where_.io(), [self = self_as<carrier>()] {
    self->flush_posted_ = false;
    if (self->flush_without_connection() || !self->up_ || self->aborted_) return;
    self->poke();
    self->after_write();
  });
}

ferry::taken carrier::drop_queue() noexcept {
  ferry::taken left;
  left.messages = unsent_messages();
  left.bytes = unsent_bytes();
  hang_up();
  return left;
}

channel_stats carrier::stats() {
  channel_stats all = counted();
  all.messages_maybe_lost += discarded_;
  all.receive_queue_messages = received().messages();
  all.receive_queue_bytes = received().byte_count();
  if (conn_ != nullptr) {
    all.send_queue_messages = conn_->link_->unacknowledged_messages();
    all.send_queue_bytes = conn_->unacknowledged_bytes();
    const auto waits = conn_->link_->waiting();
    all.receive_queue_messages += waits.messages;
    all.receive_queue_bytes += waits.bytes;
  }
  if (could_pull()) tell_receiver();
  return all;
}

// Receiving -----------------------------------------------------------------------------------------------------------

void carrier::offer(const message& m) {
  if (takes_from_peer() && wants_messages() && somebody_takes()) hand_over(m);
}

void carrier::pull_one() {
  if (!takes_from_peer()) return;
  const message* const m = conn_->front();
  // Behind an empty one that nobody wants there may be another one: the next turn tells of it.
  const bool silent = m != nullptr && is_silent(*m);
  if (m != nullptr) hand_over(*m);
  if (m == nullptr || silent) poke();
}

void carrier::hand_over(const message& m) {
  const std::size_t size = m.body.size();
  if (size > options_->max_message) {
    asio::post(where_.io(), [self = self_as<carrier>(), why = detail::describe_too_large(size, *options_)] {
      if (self->up_ && !self->aborted_) self->read_failed(why);
    });
    refuses_peer_ = true;
    return;
  }
  const message_view view{m.body, message_kind::binary, m.msg_type == plain_type_ ? std::uint16_t{0} : m.msg_type};
  const bool silent = is_silent(m);
  if (!has_message_handler() && !silent) {
    if (!deliver(view)) return;
    conn_->pop();
  } else {
    copy_.assign(m.body.begin(), m.body.end());
    conn_->pop();
    delivering_begins();
    if (!silent) (void)deliver({copy_, view.kind, view.type});
    delivering_ends();
  }
  taken_ += 1;
  stats_.messages_received += 1;
  stats_.bytes_received += size;
  where_.totals().messages_received.add(1);
  where_.totals().bytes_received.add(size);
}

bool carrier::moved_on() noexcept {
  const progress_seen now{stats_.messages_sent, conn_->unacknowledged_bytes()};
  return std::exchange(seen_, now) != now;
}

bool carrier::after_poll() {
  const bool took = std::exchange(taken_, 0) != 0;
  if (!up_ || aborted_) return took;
  if (took) deadlines_.on_read(now());
  if (moved_on() || was_full_) after_write();
  if (up_ && !aborted_ && !somebody_takes() && could_pull()) tell_receiver();
  return took;
}

// The connection ------------------------------------------------------------------------------------------------------

void carrier::came_up(peer_info who) {
  who_ = std::move(who);
  up_ = true;
  aborted_ = refuses_peer_ = false;
  const std::uint64_t lost = conn_->link_->newly_discarded();
  if (lost == 0) return;
  discarded_ += lost;
  where_.totals().messages_maybe_lost.add(lost);
  where_.log(log_level::warn, "channel", [&] {
    return url() + ": '" + conn_->remote_name() + "' has begun anew; " + std::to_string(lost) +
           " messages that it did not acknowledge are discarded";
  });
}

void carrier::went_down(const std::string& reason, int system_errno) {
  if (!up_ || aborted_) return;  // whoever ended it has the reason
  after_write();                 // what the peer consumed last may be known by now, in shared memory
  if (!up_ || aborted_) return;
  if (sending_ended())
    read_failed(errc::end_of_stream);
  else
    lost(error(errc::reset, reason, system_errno));
}

void carrier::abort_connection() noexcept {
  if (!up_ || std::exchange(aborted_, true)) return;
  hang_up();
}

detail::link_channel::remains carrier::end_connection() {
  abort_connection();
  up_ = aborted_ = false;
  return {};
}

// There is no end of one direction alone: whoever has everything acknowledged hangs up.
result<void> carrier::end_sending() {
  asio::post(where_.io(), [self = self_as<carrier>()] {
    if (self->up_) self->read_failed(errc::end_of_stream);
  });
  return {};
}

}  // namespace ferry::compat::tcpshm
