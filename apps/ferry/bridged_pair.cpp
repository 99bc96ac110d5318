#include "apps/ferry/bridged_pair.hpp"

#include <utility>

#include "apps/ferry/app.hpp"

namespace ferry::app {

bridged_pair::bridged_pair(context& where, channel first, channel second, tally& counts, std::function<void(bool)> over)
    : where_(where), tally_(counts), over_(std::move(over)) {
  first_.link = std::move(first);
  second_.link = std::move(second);
}

void bridged_pair::start() {
  join(first_, second_, true);
  join(second_, first_, false);
}

void bridged_pair::join(side& from, side& to, bool outward) {
  // The channels keep these handlers, and with them the pair, until they are closed.
  const auto self = shared_from_this();
  to.into = std::make_shared<forwarder>(to.link, where_.buffers(), [link = from.link]() mutable { link.resume(); });
  from.link.on_message([self, &from, &to, outward](const message_view& m) { self->forward(from, to, outward, m); });
  from.link.on_peer_end([self, &to] { to.link.half_close(); });
  from.link.on_up([self](const peer_info&) { self->tally_.connections += 1; });
  from.link.on_down([self, &from, &to](const down_info& why) { self->down(from, to, why); });
  watch_for_the_end(from, to);
}

void bridged_pair::forward(side& from, side& to, bool outward, const message_view& m) {
  const auto sent = to.into->forward(m);
  if (!sent) {
    // What does not fit there must not look as if it had been delivered.
    if (!std::exchange(to.refused, true)) say("cannot hand on to " + to.link.url() + ": " + sent.error().text());
    well_ = false;
    return from.link.cut();
  }
  (outward ? tally_.messages_received : tally_.messages_sent) += 1;
  (outward ? tally_.bytes_received : tally_.bytes_sent) += m.payload.size();
  if (to.into->blocked()) from.link.pause();
}

void bridged_pair::down(side& which, side& other, const down_info& why) {
  tally_.add(why);
  if (!why.will_reconnect) return lost(which, other, why.reason);
  say(which.link.url() + ": connection lost: " + why.reason.text() + "; at most " +
      counted(why.messages_maybe_lost, "message") + " may be lost; connecting again");
  well_ = false;
  watch_for_the_end(which, other);
}

// A channel that gives up while it is down has no other way to say so.
void bridged_pair::watch_for_the_end(side& which, side& other) {
  which.link.async_wait_up([self = shared_from_this(), &which, &other](error_code failed) {
    if (failed) self->lost(which, other, which.link.last_error());
  });
}

void bridged_pair::lost(side& which, side& other, const error& why) {
  if (which.gone) return;
  if (!in_order(why)) {
    well_ = false;
    say(which.link.url() + ": " + with_advice(why, which.link).text());
  }
  tally_.never_sent += which.link.stats().send_queue_messages;
  gone(which);
  close(other);
}

void bridged_pair::close() {
  close(first_);
  close(second_);
}

void bridged_pair::close(side& which) {
  if (which.gone) return;
  if (which.link.stats().connections == 0)
    which.link.cut();  // what waits for a connection would only meet the deadline
  which.link.async_close([self = shared_from_this(), &which](error_code, const close_report&) { self->gone(which); });
}

void bridged_pair::gone(side& which) {
  if (std::exchange(which.gone, true)) return;
  if (first_.gone && second_.gone && over_) std::exchange(over_, nullptr)(well_);
}

}  // namespace ferry::app
