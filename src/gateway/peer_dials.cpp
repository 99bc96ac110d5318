// Dials, and what is due at some time.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "gateway/peer_channel.hpp"
#include "gateway/peer_parts.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

void gateway_parts::dial(std::uint32_t remote, accept_completion done) {
  if (state_ == channel_state::closed || state_ == channel_state::closing) return done(errc::closed, {});
  if (dials_.size() >= with_.max_dials) return done(errc::busy, {});
  const auto id = ++last_dial_;
  dials_.push_back({id, remote, now(), std::move(done), 0});
  dials_.back().done.on_cancel([weak = weak_from_this(), &io = where_.io(), id] {
    // Posted: the slot that calls this must not be cleared while it does.
    asio::post(io, [weak, id] {
      if (const auto self = weak.lock()) self->cancel_dial(id);
    });
  });
  if (state_ == channel_state::up) send_dials();
  arm();
}

void gateway_parts::send_dials() {
  for (auto one = dials_.begin(); one != dials_.end();) {
    const auto here = one++;
    if (here->number != 0) continue;
    const auto asked = peer_.dial(here->remote, here->made, *this);
    if (asked)
      here->number = *asked;
    else
      end_dial(here, asked.error().reason());
  }
}

gateway_parts::dial_place gateway_parts::find_dial(std::uint64_t number) {
  return std::find_if(dials_.begin(), dials_.end(), [&](const auto& one) { return one.number == number; });
}

void gateway_parts::end_dial(dial_place which, errc why) {
  auto done = std::move(which->done);
  dials_.erase(which);
  done(why, {});
}

void gateway_parts::cancel_dial(std::uint64_t id) {
  const auto found = std::find_if(dials_.begin(), dials_.end(), [&](const auto& one) { return one.id == id; });
  if (found == dials_.end()) return;
  if (found->number != 0) peer_.give_up(found->number);
  end_dial(found, errc::cancelled);
}

gateway_stats gateway_parts::stats() const {
  gateway_stats all = stats_;
  all.open = peer_.connections();
  all.dialling = dials_.size();
  all.arriving = arrived_.size();
  all.round_trip = peer_.round_trip();
  if (const auto resumes = route_.resumes.lock()) all.resumed = resumes->resumed();
  return all;
}

void gateway_parts::arm() {
  std::optional<time_point> when = retry_at_;
  const auto also = [&](std::optional<time_point> other) {
    if (other && (!when || *other < *when)) when = other;
  };
  if (state_ == channel_state::up) also(peer_.next());
  if (with_.dial_timeout > duration::zero() && !dials_.empty() && dials_.front().number == 0)
    also(dials_.front().made + std::min<duration>(with_.dial_timeout, k_longest_wait));
  if (!when || state_ == channel_state::closed) return;
  if (timer_set_for_ && *timer_set_for_ <= *when) return;
  timer_set_for_ = when;
  timer_.expires_at(*when);
  timer_.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock()) self->on_timer();
  });
}

void gateway_parts::on_timer() {
  timer_set_for_.reset();
  const auto at = now();
  if (with_.dial_timeout > duration::zero()) {
    const auto limit = std::min<duration>(with_.dial_timeout, k_longest_wait);
    while (!dials_.empty() && dials_.front().number == 0 && dials_.front().made + limit <= at)
      end_dial(dials_.begin(), errc::timeout);
  }
  while (state_ == channel_state::up) {
    const auto event = peer_.on_time(at, *this);
    if (event.what == session::gateway_event::type::none) break;
    act(event);
  }
  if (retry_at_ && *retry_at_ <= at && state_ == channel_state::waiting) return connect();
  arm();
}

}  // namespace ferry::detail
