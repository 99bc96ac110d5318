#include "gateway/resumable_stream.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <utility>

namespace ferry::gateway {
namespace {

constexpr std::size_t k_at_once = 16 * 1024;  // bytes that one write takes

}  // namespace

void resumable_connection::on_read(result<std::size_t> outcome) {
  const auto kept = shared_from_this();
  if (user != nullptr) user->on_read(std::move(outcome));
}

void resumable_connection::on_writable() {
  const auto kept = shared_from_this();
  if (user != nullptr) user->on_writable();
}

void resumable_stream::adopt(std::shared_ptr<resumable_connection> on, bytes early,
                             const session::snet_stream::replay& lacking) {
  if (on_) std::exchange(on_, nullptr)->close();
  ++adopted_;
  on_ = std::move(on);
  on_->user = this;
  peer_ = on_->below->peer();
  if (peer_.tls) certificate_ = peer_.tls->certificate_sha256;
  early_.assign(early.begin(), early.end());
  owe_nothing();
  again_ = lacking.first.size() + lacking.second.size();
  core_->settle(again_);
  home_->found(*this);
  if (into_) read_on();
  if (push() && writable_wanted_) tell_later();
}

void resumable_stream::lose() noexcept {
  if (!on_) return;
  std::exchange(on_, nullptr)->close();
  early_.clear();
  owe_nothing();
  home_->lost(*this);
}

// Both ends have ended, and TLS says that it was the peer who did: then the stream is over. Else another connection may
// come.
void resumable_stream::ended(const error& why) {
  if (ending_ && peer_.tls && !owes() && why == errc::end_of_stream) return give_up(why);
  lose();
}

bool resumable_stream::renew() noexcept {
  if (left_) return false;
  lose();
  home_->hurry(*this);
  return true;
}

void resumable_stream::give_up(error why) {
  if (fault_) return;
  lose();
  fault_ = std::move(why);
  if (!std::exchange(left_, true)) home_->left(*this);
  if (into_ || writable_wanted_) tell_later();
}

void resumable_stream::attach(stream_events& events, std::shared_ptr<void> owner) {
  events_ = &events;
  owner_ = std::move(owner);
}

result<std::size_t> resumable_stream::try_read(mutable_bytes into) noexcept {
  if (!early_.empty()) return take_early(into);
  if (fault_) return *fault_;
  if (!on_) return errc::would_block;
  auto came = on_->below->try_read(into);
  if (came) received(into.first(*came));
  if (came || came.error() == errc::would_block) return came;
  ended(came.error());
  return fault_ ? *fault_ : error(errc::would_block);
}

result<std::size_t> resumable_stream::try_write(std::span<const bytes> from) noexcept {
  if (fault_) return *fault_;
  if (!push()) return errc::would_block;
  std::size_t taken = 0;
  for (bytes one : from) {
    while (!one.empty()) {
      const auto part = one.first(std::min(one.size(), k_at_once));
      owed_.resize(part.size());  // empty until here
      core_->write(part, owed_);
      taken += part.size();
      one = one.subspan(part.size());
      if (!push()) return taken;  // what is left of it is owed, or in the history
    }
  }
  return taken;
}

void resumable_stream::async_read(mutable_bytes into) {
  into_ = into;
  if (!early_.empty() || fault_)
    tell_later();
  else if (on_)
    read_on();
}

void resumable_stream::async_wait_writable() {
  writable_wanted_ = true;
  if (fault_ || (on_ && !owes())) tell_later();
}

result<void> resumable_stream::shutdown_write() {
  ending_ = true;
  (void)push();
  return {};
}

void resumable_stream::close() noexcept {
  const auto kept = std::exchange(owner_, nullptr);
  events_ = nullptr;
  into_.reset();
  leave();
}

void resumable_stream::leave() noexcept {
  if (on_) std::exchange(on_, nullptr)->close();
  step_.cancel();
  if (!std::exchange(left_, true)) home_->left(*this);
}

void resumable_stream::read_on() {
  if (early_.empty())
    on_->below->async_read(*into_);
  else
    tell_later();
}

std::size_t resumable_stream::take_early(mutable_bytes into) noexcept {
  const auto size = std::min(into.size(), early_.size());
  std::memcpy(into.data(), early_.data(), size);
  early_.erase(early_.begin(), early_.begin() + static_cast<std::ptrdiff_t>(size));
  received(into.first(size));
  return size;
}

void resumable_stream::received(mutable_bytes what) noexcept {
  core_->receive(what);
  if (!core_->has_grown() || owes()) return;
  core_->heard();
  if (!std::exchange(steps_, true)) step_later();
}

// However late the timer is, it is one step.
void resumable_stream::step_later() {
  step_.expires_after(session::snet_stream::k_step);
  step_.async_wait([weak = weak_from_this()](const error_code& failed) {
    const auto self = weak.lock();
    if (failed || !self) return;
    self->core_->passed();
    self->steps_ = self->core_->has_grown() && !self->left_;
    if (self->steps_) self->step_later();
  });
}

void resumable_stream::owe_nothing() noexcept {
  again_ = 0;
  owed_.clear();
  owed_begin_ = 0;
  waits_below_ = false;
  ends_ = false;
}

// @return true: all that was owed is on its way, and there is a connection
bool resumable_stream::push() noexcept {
  if (!push_again()) return false;
  while (owed_begin_ < owed_.size())
    if (!push_one(bytes(owed_).subspan(owed_begin_), owed_begin_)) return false;
  if (!on_ || ends_) return false;
  owed_.clear();
  owed_begin_ = 0;
  if (ending_) (void)on_->below->shutdown_write();
  return true;
}

// From where it lies: nothing is written to the history before all of it has gone.
bool resumable_stream::push_again() noexcept {
  while (again_ != 0) {
    std::size_t sent = 0;
    if (!push_one(core_->last(again_).first, sent)) return false;
    again_ -= sent;
  }
  return true;
}

// @return false: the connection takes nothing now, or there is none
bool resumable_stream::push_one(bytes what, std::size_t& sent) noexcept {
  if (!on_ || ends_) return false;
  const bytes all[] = {what};
  const auto taken = on_->below->try_write(all);
  if (taken) {
    sent += *taken;
  } else if (taken.error() == errc::would_block) {
    if (!std::exchange(waits_below_, true)) on_->below->async_wait_writable();
  } else if (into_) {
    ends_ = true;
  } else {
    lose();
  }
  return static_cast<bool>(taken);
}

// It takes nothing any more. Whoever reads may have what came before that, else a peer that is cut again and again
// might never be heard.
void resumable_stream::end_unless_read() noexcept {
  if (ends_ && !into_) lose();
}

// From the event loop, never from inside of a call.
void resumable_stream::tell_later() {
  if (std::exchange(told_, true)) return;
  boost::asio::post(io_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->told_ = false;
    self->tell();
  });
}

void resumable_stream::tell() {
  if (events_ != nullptr && into_ && !early_.empty())
    events_->on_read(take_early(*std::exchange(into_, std::nullopt)));
  else if (events_ != nullptr && into_ && fault_)
    fail_read();
  end_unless_read();
  if (events_ != nullptr && writable_wanted_ && (fault_ || (on_ && !owes()))) {
    writable_wanted_ = false;
    events_->on_writable();
  }
}

void resumable_stream::fail_read() {
  into_.reset();
  events_->on_read(*fault_);
}

void resumable_stream::on_read(result<std::size_t> outcome) {
  const auto kept = shared_from_this();
  if (!outcome) return ended(outcome.error());
  const auto into = std::exchange(into_, std::nullopt);
  received(into->first(*outcome));
  if (events_ != nullptr) events_->on_read(outcome);
  end_unless_read();
}

void resumable_stream::on_writable() {
  const auto kept = shared_from_this();
  waits_below_ = false;
  if (push() && writable_wanted_ && events_ != nullptr) {
    writable_wanted_ = false;
    events_->on_writable();
  }
}

}  // namespace ferry::gateway
