// What a session's channel does with the disk: one group of transactions at a time, and whoever waits for it.
#include <boost/asio/post.hpp>

#include "channel/session_channel.hpp"

namespace ferry::detail {
namespace asio = boost::asio;

void session_channel::sync_soon() {
  if (sync_posted_.exchange(true)) return;
  asio::post(where_.io(), [self = self_as<session_channel>()] {
    self->sync_posted_ = false;
    self->sync_now();
  });
}

// One group of transactions at a time; what is committed meanwhile makes the next one.
void session_channel::sync_now() {
  if (syncing_ || !store_) return;
  bytes range;
  {
    const auto guard = locked();
    range = session().next_sync();
  }
  if (range.empty()) return tell_durable();
  syncing_ = true;
  auto work = [self = self_as<session_channel>(), range]() mutable {
    auto outcome = self->store_->disk().sync(range);
    auto& io = self->where_.io();
    // The event loop's thread is the last to let go of this channel.
    asio::post(io, [self = std::move(self), outcome] { self->synced(outcome); });
  };
  if (const auto& elsewhere = where_.blocking_executor())
    asio::post(elsewhere, std::move(work));
  else
    work();
}

void session_channel::synced(const result<void>& outcome) {
  syncing_ = false;
  if (state() == channel_state::closed && !attached()) {
    const auto guard = locked();
    store_.reset();
    return;
  }
  if (!store_) return;
  {
    const auto guard = locked();
    outcome ? session().synced() : session().sync_failed();
  }
  if (!outcome) return disk_failed(outcome.error());
  if (after_sync_) std::exchange(after_sync_, nullptr)();
  if (!store_) return;
  tell_durable();
  went_out(false);
  sync_now();
  if (sending_ends() && !carrier_) post_flush();
}

void session_channel::disk_failed(const error& why) {
  after_sync_ = nullptr;  // nothing will be there for good any more
  disk_failure_ = why.code();
  cut(why.in("the disk under " + store_->who().own_name + "'s session"));
}

bool session_channel::rests() const {
  const auto guard = locked();
  return store_->session().rests();
}

bool session_channel::restarts() const {
  const auto guard = locked();
  return store_ != nullptr && store_->session().restarts();
}

// One more commit comes behind a group that takes no commit along, as it only makes room.
void session_channel::when_all_durable(std::function<void(bool)> then) {
  std::uint64_t number = 0;
  {
    const auto guard = locked();
    number = session().commit_outputs();
  }
  when_durable(number, std::move(then));
}

void session_channel::when_durable(std::uint64_t number, std::function<void(bool)> then) {
  bool done = !disk_;
  if (!done) {
    const auto guard = locked();
    done = session().durable() >= number;
  }
  if (done || completed_) return then(done);
  durable_waiters_.push_back({number, std::move(then)});
  sync_soon();
}

void session_channel::tell_durable() {
  while (!durable_waiters_.empty()) {
    {
      const auto guard = locked();
      if (!store_ || session().durable() < durable_waiters_.front().number) return;
    }
    const auto then = std::move(durable_waiters_.front().then);
    durable_waiters_.pop_front();
    then(true);
  }
}

void session_channel::start_wait_durable(send_completion done) {
  const auto not_durable = [this] { return disk_failure_ ? disk_failure_ : error_code(errc::closed); };
  if (!store_) return done(not_durable());
  std::uint64_t number = 0;
  {
    const auto guard = locked();
    number = session().newest();
  }
  when_durable(number, [not_durable, done = std::make_shared<send_completion>(std::move(done))](bool durable) {
    (*done)(durable ? error_code{} : not_durable());
  });
}

void session_channel::complete_rest() {
  completed_ = true;
  for (auto& one : input_waiters_.take_all()) one.done(errc::closed);
  for (auto& one : std::exchange(durable_waiters_, {})) one.then(false);
}

// What they hold may let go of this channel, or of others.
void session_channel::drop_rest() noexcept {
  const auto waiting = input_waiters_.take_all();
  const auto durable = std::exchange(durable_waiters_, {});
  const auto later = std::exchange(after_sync_, nullptr);
}

}  // namespace ferry::detail
