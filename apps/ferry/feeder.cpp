#include "apps/ferry/feeder.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace ferry::app {
namespace {

// Then signals, echoes and the progress bar have their turn.
constexpr std::size_t k_bytes_per_turn = 1u << 20;
constexpr std::size_t k_cost_of_a_message = 32;

}  // namespace

feeder::feeder(channel to, std::unique_ptr<source> from, rules with)
    : to_(std::move(to)), from_(std::move(from)), rules_(std::move(with)), pace_(to_.executor()) {}

void feeder::start() {
  begin_ = clock::now();
  to_.on_drain([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->poke();
  });
  poke();
}

void feeder::stop() {
  stopped_ = true;
  pace_.cancel();
}

void feeder::poke() {
  if (stopped_ || std::exchange(posted_, true)) return;
  boost::asio::post(to_.executor(), [self = shared_from_this()] {
    self->posted_ = false;
    self->turn();
  });
}

void feeder::turn() {
  turn_bytes_ = 0;
  while (!stopped_ && step()) {
    if (turn_bytes_ >= k_bytes_per_turn) return poke();
  }
}

bool feeder::step() {
  if (!current_ && !fetch()) return false;
  if ((rules_.gate && !rules_.gate()) || too_early()) return false;
  const auto sent = to_.try_send(current_->payload, current_->kind, current_->type);
  if (!sent) {
    if (sent.error() != errc::full) end(sent.error());
    return false;  // full: the drain event comes
  }
  messages_ += 1;
  turn_bytes_ += current_->payload.size() + k_cost_of_a_message;
  if (rules_.on_sent) rules_.on_sent(*current_);
  current_.reset();
  return true;
}

bool feeder::fetch() {
  if (waiting_for_source_) return false;
  const auto offered = from_->next();
  if (!offered) {
    end(offered.error());
    return false;
  }
  switch (offered->what) {
    case offer::state::message: current_ = offered->message; return true;
    case offer::state::end: end({}); return false;
    case offer::state::wait: break;
  }
  waiting_for_source_ = true;
  from_->async_wait([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->waiting_for_source_ = false;
      self->poke();
    }
  });
  return false;
}

bool feeder::too_early() {
  if (rules_.per_second == 0) return false;
  const auto due = begin_ + std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(messages_) * 1e9 /
                                                                               static_cast<double>(rules_.per_second)));
  if (clock::now() >= due) return false;
  pace_.expires_at(due);
  pace_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    const auto self = weak.lock();
    if (self && !cancelled) self->poke();
  });
  return true;
}

void feeder::end(const error& why) {
  const auto tell = std::exchange(rules_.on_end, nullptr);
  stop();
  if (tell) tell(why);
}

}  // namespace ferry::app
