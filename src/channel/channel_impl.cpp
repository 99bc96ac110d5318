#include "channel/channel_impl.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>

namespace ferry::detail {
namespace asio = boost::asio;

constexpr std::chrono::milliseconds k_buffer_wait{10};

channel_impl::channel_impl(context& where, shared_url url, std::shared_ptr<const options> with, transport_traits traits)
    : where_(where),
      options_(std::move(with)),
      io_(where.io()),
      residents_(where.residents()),
      url_(std::move(url)),
      traits_(traits),
      queue_(*options_) {
  residents_->add(this);
  where_.totals().channels_open.add(1);
}

// Nothing of the context here: an io_context that is destroyed with operations under way may outlive it.
channel_impl::~channel_impl() { residents_->remove(this); }

void channel_impl::abandon() noexcept {
  enter(channel_state::closed);
  over_ = true;
  let_go();
  // What these hold may let go of this channel, or of others.
  const auto handlers = std::exchange(handlers_, {});
  const auto closing = std::move(close_done_);
  const auto operations = std::move(waiting_);
  const auto data = std::move(user_data_);
}

const channel_impl::told_ends& channel_impl::told() const noexcept {
  static const told_ends none;
  return told_ ? *told_ : none;
}

// Receiving ---------------------------------------------------------------------------------------

/// A copy, in `room` if it is whole. @param room  none: there was no memory, or there are no bytes
message channel_impl::copy_of(const message_view& m, pooled_buffer room) const {
  if (m.whole() && room) {
    std::memcpy(room.data(), m.payload.data(), m.payload.size());
    return {std::move(room), m.payload.size(), m.kind, m.type};
  }
  if (!room && !m.payload.empty()) return {};
  room.reset();  // which is found again
  return message::copy_of(m, where_.buffers());
}

bool channel_impl::enqueue(const message_view& m) {
  if (queue_.full()) {
    receive_full_ = true;
    return false;
  }
  pooled_buffer room;
  if (!m.payload.empty()) room = where_.buffers().acquire(m.payload.size());
  const std::size_t lent = room.capacity();
  message copy = copy_of(m, std::move(room));
  if (!copy.ok()) {
    // Nobody is lost: the bytes stay where they are until the receiver has given buffers back.
    receive_full_ = true;
    if (queue_.empty()) resume_later();
    return false;
  }
  if (receiver_waits() && !handlers_.message) {
    waiting_->to_receive.pop()({}, std::move(copy));
    return true;
  }
  queue_.push(std::move(copy), lent);
  return true;
}

void channel_impl::on_message(std::function<void(const message_view&)> handler) {
  if (delivering_) {
    next_message_handler_ = std::make_unique<std::function<void(const message_view&)>>(std::move(handler));
    undisturbed_ = false;
    return;
  }
  handlers_.message = std::move(handler);
  post_resume();
}

// The batch ends as if the handler had called pause(); once the exception has left the event loop, it goes on.
void channel_impl::message_handler_threw() {
  handler_threw_ = true;
  undisturbed_ = false;
  asio::post(where_.io(), [self = shared_from_this(), what = std::current_exception()] {
    self->handler_threw_ = false;
    self->post_resume();
    std::rethrow_exception(what);
  });
}

void channel_impl::change_message_handler() {
  const auto old = std::exchange(handlers_.message, std::move(*next_message_handler_));
  next_message_handler_.reset();
}

void channel_impl::deliver_queued() {
  delivering_begins();
  while (handlers_.message && !queue_.empty() && !paused_ && !handler_threw_) {
    const message m = queue_.pop();
    call_message_handler(m.view());
    if (next_message_handler_) change_message_handler();
  }
  delivering_ends();
  after_pop();
}

result<message> channel_impl::try_receive() {
  pulled_ = true;
  if (queue_.empty()) pull();
  if (queue_.empty()) {
    if (state_ == channel_state::closed) return told().report.reason;
    queue_.lower();
    end_was_taken();
    return errc::would_block;
  }
  message m = queue_.pop();
  after_pop();
  return m;
}

void channel_impl::after_pop() {
  if (receive_full_ && queue_.drained()) post_resume();
}

void channel_impl::resume() {
  paused_ = false;
  post_resume();
}

void channel_impl::post_resume() {
  if (std::exchange(resume_posted_, true)) return;
  asio::post(where_.io(), [self = shared_from_this()] {
    self->resume_posted_ = false;
    self->receive_full_ = false;
    self->deliver_queued();
    if (self->handlers_.message && self->queue_.empty()) self->end_was_taken();
    if (self->wants_messages()) self->resume_reading();
  });
}

// Whose buffers come back does not say so.
void channel_impl::resume_later() {
  if (std::exchange(resume_timed_, true)) return;
  const auto timer = std::make_shared<asio::steady_timer>(where_.io(), k_buffer_wait);
  timer->async_wait([self = shared_from_this(), timer](const boost::system::error_code&) {
    self->resume_timed_ = false;
    self->post_resume();
  });
}

void channel_impl::start_receive(receive_completion done) {
  pulled_ = true;
  if (!queue_.empty()) {
    message m = queue_.pop();
    after_pop();
    return done({}, std::move(m));
  }
  if (over_) return done(told().report.reason.code(), {});
  const auto list = [](channel_impl & of) -> auto& { return of.waiting_.need().to_receive; };
  list(*this).add(shared_from_this(), list, where_.io(), std::move(done), {},
                  [](receive_completion& one) { one(errc::cancelled, {}); });
  pull();
  end_was_taken();
}

// Handlers are not called from inside a call: what belongs to one is handed out by the event loop.
void channel_impl::pull() {
  if (wants_messages() && !handlers_.message) pull_one();
}

int channel_impl::readiness_fd() {
  pulled_ = true;
  return handlers_.message ? -1
                           : queue_.readiness_fd(!queue_.empty() || state_ == channel_state::closed || could_pull());
}

// Sending -----------------------------------------------------------------------------------------

void channel_impl::start_send(const message_view& what, send_completion done) {
  if (!sender_waits()) {
    const auto sent = try_send(what);
    if (sent) return done({});
    if (sent.error() != errc::full && sent.error() != errc::no_memory) return done(sent.error().code());
  }
  const auto list = [](channel_impl & of) -> auto& { return of.waiting_.need().to_send; };
  list(*this).add(shared_from_this(), list, where_.io(), std::move(done), what,
                  [](send_completion& one) { one(errc::cancelled); });
}

void channel_impl::serve_senders() {
  while (sender_waits()) {
    auto& senders = waiting_->to_send;
    const auto sent = try_send(senders.front().extra);
    if (!sent && (sent.error() == errc::full || sent.error() == errc::no_memory)) return;
    bool rest_is_lost = !sent && sent.error() == errc::reset && senders.front().extra.more;
    senders.pop()(sent ? error_code{} : sent.error().code());
    while (rest_is_lost && !senders.empty()) {
      rest_is_lost = senders.front().extra.more;
      senders.pop()(errc::reset);
    }
  }
}

void channel_impl::start_flush(send_completion done) {
  if (over_) return done(told().report.reason.code());
  if (unsent_bytes() == 0) return done({});
  const auto list = [](channel_impl & of) -> auto& { return of.waiting_.need().to_flush; };
  list(*this).add(shared_from_this(), list, where_.io(), std::move(done), queued_bytes(),
                  [](send_completion& one) { one(errc::cancelled); });
}

void channel_impl::serve_flushes() {
  if (!flush_wanted()) return;
  auto& flushes = waiting_->to_flush;
  const std::uint64_t taken = queued_bytes() - unsent_bytes();
  while (!flushes.empty() && flushes.front().extra <= taken) flushes.pop()({});
}

void channel_impl::report_progress(bool drained) {
  serve_flushes();
  serve_senders();
  if (const auto* set = handlers_.set(); drained && set != nullptr) set->drain(io_);
}

void channel_impl::report_connect_failure(const error& why) {
  told_.need().last_error = why;
  if (const auto* set = handlers_.set()) set->connect_failure(io_, why);
}

bool channel_impl::report_peer_end() {
  const auto* set = handlers_.set();
  if (set == nullptr || !set->peer_end) return false;
  set->peer_end(io_);
  return true;
}

void channel_impl::report_poisoned(bytes frame) {
  if (const auto* set = handlers_.set()) set->poisoned(io_, frame);
}

// Life --------------------------------------------------------------------------------------------

void channel_impl::on_up(std::function<void(const peer_info&)> handler) {
  handlers_.rare().up = std::move(handler);
  if (state_ != channel_state::up) return;
  asio::post(where_.io(), [self = shared_from_this()] {
    const auto* set = self->handlers_.set();
    if (self->state_ == channel_state::up && set != nullptr) set->up(self->io_, self->peer());
  });
}

void channel_impl::start_wait_up(send_completion done) {
  if (state_ == channel_state::up || state_ == channel_state::closing) return done({});
  if (over_) return done(told().report.reason.code());
  const auto list = [](channel_impl & of) -> auto& { return of.waiting_.need().to_be_up; };
  list(*this).add(shared_from_this(), list, where_.io(), std::move(done), {},
                  [](send_completion& one) { one(errc::cancelled); });
}

void channel_impl::start_close(close_completion done, std::optional<options::duration> within) {
  if (const auto& report = told().report; over_)
    return done(report.clean() ? error_code{} : report.reason.code(), report);
  if (close_done_) return done(errc::misuse, {});
  close_done_ = std::move(done);
  close_done_.on_cancel([weak = weak_from_this(), &io = where_.io()] {
    // Posted: the slot that calls this must not be cleared while it does.
    asio::post(io, [weak] {
      if (const auto self = weak.lock(); self && self->close_done_) self->close_done_(errc::cancelled, {});
    });
  });
  closing_begins(within);
  half_close();
}

const peer_info& channel_impl::peer() const {
  if (!peer_) peer_ = std::make_unique<peer_info>(current_peer());
  return *peer_;
}

void channel_impl::report_up(std::optional<peer_info> who) {
  if (who && !peer_) peer_ = std::make_unique<peer_info>();
  if (peer_) *peer_ = who ? std::move(*who) : current_peer();
  while (waiting_ && !waiting_->to_be_up.empty()) waiting_->to_be_up.pop()({});
  if (const auto* set = handlers_.set(); set != nullptr && set->up) set->up(io_, peer());
}

void channel_impl::report_down(const down_info& info) {
  told_.need().last_error = info.reason;
  if (const auto* set = handlers_.set()) set->down(io_, info);
}

void channel_impl::ended(close_report report) {
  if (std::exchange(over_, true)) return;
  enter(channel_state::closed);
  where_.totals().channels_open.add(-1);
  const error_code code = report.reason.code();
  told_.need() = {report.reason, report};
  if (auto left = std::move(waiting_); left) {
    for (auto& one : left->to_receive.take_all()) one.done(code, {});
    for (auto& one : left->to_send.take_all()) one.done(code);
    for (auto& one : left->to_flush.take_all()) one.done(code);
    for (auto& one : left->to_be_up.take_all()) one.done(code);
  }
  if (close_done_) close_done_(report.clean() ? error_code{} : code, report);
  queue_.raise();
  // Later, because one of them may be what is running now.
  asio::post(where_.io(), [self = shared_from_this()] { self->handlers_ = {}; });
}

}  // namespace ferry::detail
