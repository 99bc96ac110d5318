// What goes through a service's rings.
#include <ferry/sidecar.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "channel/rethrow.hpp"
#include "codec/native_plain.hpp"
#include "os/coarse_time.hpp"
#include "sidecar/service_parts.hpp"

namespace ferry::detail {
namespace {

constexpr auto k_first_delay = std::chrono::microseconds(20);  // of a compatible ring that is empty
constexpr std::size_t k_most_plain_body = 1u << 20;
constexpr auto k_native_spin = std::chrono::microseconds(50);  // before a native one is left to its bell

}  // namespace

class service_parts::handling {
 public:
  explicit handling(service_parts& of) noexcept : of_(of), is_outermost_(!std::exchange(of.takes_, true)) {}
  handling(const handling&) = delete;
  handling& operator=(const handling&) = delete;
  ~handling() {
    if (!is_outermost_) return;
    of_.takes_ = false;
    if (!of_.kept_) [[likely]]
      return;
    const auto last = std::exchange(of_.kept_, std::nullopt);
  }
  /// Not from inside a handler.
  [[nodiscard]] bool is_outermost() const noexcept { return is_outermost_; }

 private:
  service_parts& of_;
  const bool is_outermost_;
};

service_parts::let_go& service_parts::kept() { return kept_ ? *kept_ : kept_.emplace(); }

void service_parts::set_message_handler(std::unique_ptr<message_function> handler) {
  auto before = std::exchange(message_handler_, std::move(handler));
  if (takes_ && before) kept().handlers.push_back(std::move(before));
}

void service_parts::on_message(std::function<void(const service_message&)> handler) {
  set_message_handler(handler ? std::make_unique<message_function>(std::move(handler)) : nullptr);
  look_soon();
}

// A handler that is under way for a look finds that it was not awaited any more, where that has changed.
void service_parts::look_soon() {
  idle_delay_ = {};
  quiet_since_ = {};
  if (looking_ != looking::resting) return;
  looking_ = looking::looking;
  boost::asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->turn();
  });
}

void service_parts::look_later() {
  idle_delay_ = std::min<duration>(with_.poll_interval, idle_delay_ == duration{} ? k_first_delay : 2 * idle_delay_);
  looking_ = looking::looking;
  look_timer_.expires_after(idle_delay_);
  look_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code&) {
    if (const auto self = weak.lock()) self->turn();
  });
}

// What is under way by the timer or the event loop still ends in a turn, which then does nothing.
void service_parts::stop_looking() {
  look_timer_.cancel();
  bell_.reset();
  if (looking_ == looking::asleep) looking_ = looking::resting;
}

// Goes on until there is nothing, as long as somebody takes it; messages that nobody takes stay where they are.
void service_parts::turn() {
  if (looking_ != looking::looking) return;
  looking_ = looking::resting;
  if (pipe_state_ != pipe_state::usable || !receives_ || !message_handler_) return;
  const handling under_way(*this);
  auto& pipe = *pipe_;
  const auto taken = under_way.is_outermost() ? take_some(pipe) : 0;
  if (pipe_state_ != pipe_state::usable || looking_ == looking::driven) return;
  if (pipe.torn()) return fail(error(errc::corrupt, "a ring of pipe " + own_pipe_ + " was cut off"));
  if (taken != 0 || (under_way.is_outermost() && pipe.go_on_to_next()))
    look_soon();
  else
    rest();
}

std::size_t service_parts::take_some(sidecar::service_pipe& pipe) {
  const auto now_ms = os::coarse_unix_milliseconds();
  std::size_t taken = 0;
  while (taken < with_.batch && receives_ && message_handler_ && pipe_state_ == pipe_state::usable &&
         take_one(pipe, now_ms))
    ++taken;
  return taken;
}

std::size_t service_parts::poll() {
  if (looking_ != looking::driven) {
    stop_looking();
    looking_ = looking::driven;
    if (pipe_state_ == pipe_state::usable) pipe_->in().awake();
  }
  if (takes_ || pipe_state_ != pipe_state::usable || !receives_ || !message_handler_) return 0;
  if (!pipe_->in().something() && !pipe_->go_on_to_next()) [[likely]]
    return 0;
  const handling under_way(*this);
  auto& pipe = *pipe_;
  const auto taken = take_some(pipe);
  if (taken == 0) (void)pipe.go_on_to_next();
  return taken;
}

// Nothing is there.
void service_parts::rest() {
  if (pipe_->in().wake_fd() < 0) return look_later();
  const auto at = now();
  if (quiet_since_ == time_point{}) quiet_since_ = at;
  if (at - quiet_since_ < k_native_spin) {
    const auto since = quiet_since_;
    look_soon();
    quiet_since_ = since;
    return;
  }
  looking_ = looking::tired;
  sleep_round::of(where_.io()).join(std::shared_ptr<sleeper>(shared_from_this(), this));
}

bool service_parts::announce_sleep() {
  const bool sleeps = looking_ == looking::tired && pipe_state_ == pipe_state::usable;
  return sleeps && pipe_->in().announce_sleep();
}

void service_parts::look_once_more() {
  if (looking_ != looking::tired) return;
  looking_ = looking::resting;
  if (pipe_state_ != pipe_state::usable || !receives_) return;
  auto& in = pipe_->in();
  // An answer of the sidecar may have named other rings since it was tired.
  if (!in.something() && !pipe_->go_on_to_next()) return fall_asleep();
  in.awake();
  look_soon();
}

void service_parts::fall_asleep() {
  bell_.emplace(where_.io());
  if (const auto watched = bell_->start(pipe_->in().wake_fd()); !watched) return fail(watched.error());
  looking_ = looking::asleep;
  bell_->async_readable([weak = weak_from_this()](const boost::system::error_code& failed) {
    const auto self = weak.lock();
    if (failed || !self || self->looking_ != looking::asleep) return;
    self->stop_looking();
    if (self->pipe_state_ != pipe_state::usable) return;
    self->pipe_->in().awake();
    self->look_soon();
  });
}

// What the sidecar's answer to a registration says.
void service_parts::use_rings(std::uint32_t agreed) {
  if (pipe_state_ != pipe_state::usable) return;
  const auto self = shared_from_this();
  stop_looking();
  result<std::uint64_t> left = 0;
  {
    const std::lock_guard guard(send_lock_);
    left = pipe_->use(agreed, with_);
  }
  if (!left) return fail(left.error().in("the native rings of pipe " + own_pipe_));
  if (*left != 0)
    fault(error(errc::closed, std::to_string(*left) + " bytes lie in rings that are not used any more, and are lost"));
  using codec::sidecar::control_id;
  if (agreed != 0 && link_)
    link_->tell(codec::sidecar::other_notice{static_cast<std::int32_t>(control_id::event_fd_notice)});
  look_soon();
}

bool service_parts::take_one(sidecar::service_pipe& pipe, std::uint64_t now_ms) {
  if (auto* const native = pipe.native_in(); native != nullptr) {
    if (const auto what = native->short_front(now_ms)) {
      native->take_short(what.time_ms, now_ms);
      hand_on(pipe, what);
      native->pop();
      return true;
    }
  }
  auto& in = pipe.in();
  const auto found = in.front(now_ms);
  if (!found) {
    in.corrupt() ? fail(found.error()) : fault(found.error());
    return false;
  }
  if (!*found) return false;
  hand_on(pipe, *found);
  in.pop();
  return true;
}

void service_parts::hand_on(sidecar::service_pipe& pipe, const sidecar::ring_message& record) {
  if (const auto good = reader_.read(record, in_hand_, &pipe.bodies()); !good) {
    stats_.malformed += 1;
    return fault(good.error());
  }
  stats_.received += 1;
  // What it throws leaves the event loop, later: the message was taken all the same.
  try {
    (*message_handler_)(in_hand_);
  } catch (...) {
    rethrow_from(where_.io(), std::current_exception());
  }
  if (!pipe.bodies().is_still_there()) [[unlikely]]
    fault(error(errc::corrupt, "the body of a message was written over while its handler had it"));
}

void service_parts::fault(const error& why) {
  where_.log(log_level::warn, "service", [&] { return why.text(); });
  fault_handler(where_.io(), why);
}

bool service_parts::is_to_current_instance(const service_message& what) const {
  const auto wanted = what.package.note(own_note_);
  return !wanted || *wanted == own_pipe_;
}

result<void> service_parts::send(const service_route& route, const service_package& package, bytes body) {
  const std::lock_guard guard(send_lock_);
  codec::sidecar::native_head what(route, package);
  complete(what);
  return put(what, body, os::coarse_unix_milliseconds());
}

result<std::size_t> service_parts::send(std::span<const service_message> all) {
  const std::lock_guard guard(send_lock_);
  const auto sent_at = os::coarse_unix_milliseconds();
  std::size_t sent = 0;
  for (const auto& one : all) {
    codec::sidecar::native_head what(one.route, one.package);
    complete(what);
    if (const auto is_there = put(what, one.body, sent_at); !is_there) {
      if (sent == 0) return is_there.error();
      break;
    }
    ++sent;
  }
  return sent;
}

result<void> service_parts::reply(const service_message& to, const service_package& answer, bytes body) {
  const std::lock_guard guard(send_lock_);
  const service_destination back = to_entity{to.route.from};
  codec::sidecar::native_head what(to, back, answer);
  complete(what);
  return put(what, body, os::coarse_unix_milliseconds());
}

result<void> service_parts::forward(const service_message& what) {
  const std::lock_guard guard(send_lock_);
  auto route = what.route;
  route.to = to_other_instance{static_cast<std::int32_t>(pipe_ ? pipe_->index() : 0)};
  return put({route, what.package}, what.body, os::coarse_unix_milliseconds());
}

// Who sends, where that is not said.
inline void service_parts::complete(codec::sidecar::native_head& what) const noexcept {
  what.instance = own_row_;
  what.each_note([&](const service_note& note) {
    if (note.name == own_note_) what.instance = 0;
  });
  if (what.from == 0) what.from = with_.entity;
  if (what.from_set_version == 0) what.from_set_version = with_.set_version;
}

inline result<void> service_parts::put(const codec::sidecar::native_head& what, bytes body, std::uint64_t sent_at) {
  if (!can_send_)
    return error(errc::closed, "the service has no pipe: it is not started, or waits for it, or is stopped");
  auto* const out = pipe_->native_out();
  codec::sidecar::plain_head plain;
  if (out == nullptr || body.size() > k_most_plain_body || !plain.make(what) ||
      !sidecar::write_behind(*out, plain.size(), body, [&](std::byte* to) { plain.put(to, sent_at); })) [[unlikely]]
    return put_slowly(what, body, sent_at);
  sent_ += 1;
  return {};
}

result<void> service_parts::put_slowly(const codec::sidecar::native_head& what, bytes body, std::uint64_t sent_at) {
  if (auto* const out = pipe_->native_out(); out != nullptr) {
    const auto written = former_.write_in_place(*out, what, body, sent_at);
    if (!written) return written.error();
    if (*written) {
      sent_ += 1;
      return {};
    }
  }
  const service_route route{what.from, what.message_id, what.to, what.from_set_version, what.to_set_version};
  notes_.clear();
  what.each_note([&](const service_note& note) { notes_.push_back(note); });
  if (what.instance != 0) notes_.push_back({own_note_, own_pipe_});
  auto package = what.package;
  package.notes = notes_;
  const auto formed = former_.form(pipe_->writes(), route, package, body, sent_at);
  if (!formed) return formed.error();
  if (!pipe_->out().write(formed->parts(), formed->head_bytes, sent_at)) return no_room(formed->total());
  sent_ += 1;
  return {};
}

error service_parts::no_room(std::size_t wanted) {
  auto& out = pipe_->out();
  if (out.corrupt()) return {errc::corrupt, "the sidecar says that it reads where it cannot be"};
  if (out.unread_bytes() == 0)
    return {errc::message_too_large, "a message of " + std::to_string(wanted) +
                                         " bytes does not fit into the ring, which takes " +
                                         std::to_string(out.max_message()) + " for certain"};
  full_ += 1;
  return {errc::full, "no room for " + std::to_string(wanted) + " bytes in the ring, the sidecar has " +
                          std::to_string(out.unread_bytes()) + " before it"};
}

service_stats service_parts::stats() const {
  auto made = stats_;
  if (pipe_) {
    const auto ring = pipe_->read_stats();
    made.expired = ring.expired;
    made.lost_bodies = pipe_->bodies().lost();
    made.ring_faults = ring.faults;
    made.dropped_bytes = ring.dropped_bytes;
    made.delay_sum_ms = ring.delay_sum_ms;
    made.delay_max_ms = ring.delay_max_ms;
  }
  const std::lock_guard guard(send_lock_);
  made.sent = sent_;
  made.full = full_;
  return made;
}

std::uint32_t service_parts::unread_bytes() const noexcept {
  return pipe_state_ == pipe_state::usable ? pipe_->unread_bytes() : 0;
}

service_usage service_parts::take_usage() {
  if (pipe_state_ != pipe_state::usable) return {};
  const auto percent = [](std::uint32_t used, std::uint32_t of) {
    return static_cast<std::uint32_t>(std::uint64_t{used} * 100 / of);
  };
  const std::lock_guard guard(send_lock_);
  return {percent(pipe_->in().take_peak(), pipe_->in().queue_bytes()),
          percent(pipe_->out().take_peak(), pipe_->out().queue_bytes())};
}

}  // namespace ferry::detail
