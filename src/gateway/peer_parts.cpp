#include "gateway/peer_parts.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>

#include "base/endian.hpp"
#include "channel/describe.hpp"
#include "channel/stream_channel.hpp"
#include "codec/gateway_leave.hpp"
#include "gateway/peer_channel.hpp"
#include "os/random.hpp"

namespace ferry::detail {
namespace asio = boost::asio;
namespace wire = codec::gateway;
using type = session::gateway_event::type;

namespace {

// That may wait for room, beside a Close for each virtual connection and each dial: answers to who dials above a limit.
constexpr std::size_t k_more_commands = 1024;

session::gateway_peer_options peer_options(const gateway_options& with) {
  return {with.max_packet,   with.max_connections, with.max_dials,
          with.dial_timeout, with.ping_interval,   with.ping_timeout};
}

}  // namespace

gateway_parts::gateway_parts(context& where, gateway_route to, const gateway_options& with)
    : where_(where),
      residents_(where.residents()),
      route_(std::move(to)),
      with_(with),
      peer_(peer_options(with)),
      backoff_(backoff_of(with.link)),
      timer_(where.io()) {
  auto link = std::make_shared<options>(with.link);
  link->reconnect = false;
  if (!route_.resumes.expired() && link->write_timeout > duration::zero()) link->write_timeout += with.resume.wait;
  virtual_options_ = [&] {
    auto all = std::make_shared<options>(*link);
    all->max_message = wire::max_message(with.max_packet);
    return all;
  }();
  link->max_message = with.max_packet;
  link_options_ = std::move(link);
  residents_->add(this);
}

gateway_parts::~gateway_parts() {
  residents_->remove(this);
  drop_link();
}

void gateway_parts::abandon() noexcept {
  enter(channel_state::closed);
  drop_link();
  timer_.cancel();
  const auto dialling = std::exchange(dials_, {});
  const auto accepting = accepts_.take_all();
  const auto waiting = up_waiters_.take_all();
  const auto arrived = std::exchange(arrived_, {});
  channel_handler_ = nullptr;
  up_handler_ = nullptr;
  down_handler_ = nullptr;
  failure_handler_ = nullptr;
  with_.on_ping_timeout = nullptr;
}

// The connection to the gateway -------------------------------------------------------------------

void gateway_parts::connect() {
  retry_at_.reset();
  enter(channel_state::connecting);
  auto made = open_link();
  if (!made) {
    asio::post(where_.io(), [weak = weak_from_this(), why = made.error()] {
      if (const auto self = weak.lock(); self && self->state_ == channel_state::connecting) self->attempt_failed(why);
    });
    return;
  }
  link_ = std::move(*made);
  const auto life = ++life_;
  link_is_up_ = heard_ = false;
  const bool by_messages = !route_.transport || route_.transport->shape() == stream_shape::messages;
  login_step_ = route_.server && by_messages ? login_step::asked : login_step::done;
  const auto when_ours = [weak = weak_from_this(), life](auto what) {
    return [weak, life, what](const auto&... args) {
      if (const auto self = weak.lock(); self && self->life_ == life) what(*self, args...);
    };
  };
  link_.on_message(when_ours([](gateway_parts& self, const message_view& m) { self.take(m.payload); }));
  link_.on_up(when_ours([](gateway_parts& self, const peer_info&) { self.link_up(); }));
  link_.on_drain(when_ours([](gateway_parts& self) { self.drained(); }));
  link_.on_down(when_ours([](gateway_parts& self, const down_info& info) { self.lost(info.reason); }));
  link_.on_connect_failure(when_ours([](gateway_parts& self, const error& why) { self.attempt_failed(why); }));
  link_.connect();
  arm();
}

result<channel> gateway_parts::open_link() {
  if (!route_.transport || route_.transport->shape() == stream_shape::messages)
    return channel::prepare(where_, route_.where, *link_options_);
  auto framed = std::make_shared<options>(*link_options_);
  framed->framing = framing_kind::u32;  // of a packet, the length
  auto through = route_.server ? gateway::logged_in(route_.transport, *route_.server) : route_.transport;
  return hold(make_connecting(where_, route_.url, std::move(framed),
                              std::make_unique<destination>(destination{std::move(through), route_.where})));
}

void gateway_parts::drop_link() noexcept {
  ++life_;
  link_is_up_ = false;
  if (link_) link_.cut();
  link_ = {};
}

void gateway_parts::attempt_failed(const error& why) {
  const auto keep = shared_from_this();
  last_error_ = why;
  stats_.failed_attempts += 1;
  drop_link();
  failure_handler_(where_.io(), why);
  if (state_ == channel_state::connecting) retry_or_finish(why);
}

void gateway_parts::link_up() {
  link_is_up_ = true;
  if (!route_.server) return go_up();
  // Nothing says that a login was right but an answer to what follows it.
  if (login_step_ == login_step::done) send(wire::command::ping());
}

void gateway_parts::log_in(bytes said) {
  if (login_step_ == login_step::proving) {
    if (const auto right = login_.on_proof(said); !right) return lost(right.error());
    login_step_ = login_step::done;
    return send(wire::command::ping());
  }
  if (said.size() != wire::k_challenge_bytes)
    return lost(error(errc::protocol, "the gateway says " + std::to_string(said.size()) +
                                          " bytes instead of a challenge of 8; is this where it expects servers?"));
  wire::challenge number{};
  std::copy(said.begin(), said.end(), number.begin());
  login_ = route_.server->login();
  const auto answer = login_.answer(number, gateway::fresh_random());
  login_step_ = login_.is_proving() ? login_step::proving : login_step::done;
  if (const auto sent = link_.try_send(answer); !sent) return lost(sent.error());
  if (login_step_ == login_step::done) send(wire::command::ping());
}

void gateway_parts::go_up() {
  const auto keep = shared_from_this();
  const auto life = life_;
  stats_.connections += 1;
  backoff_.on_up(now());
  peer_.on_up(now());
  enter(channel_state::up);
  send_dials();
  arm();
  while (!up_waiters_.empty()) up_waiters_.pop()({});
  if (state_ == channel_state::up && life == life_) up_handler_(where_.io(), link_.peer());
}

void gateway_parts::lost(const error& why) {
  if (!link_ || state_ == channel_state::closed) return;
  const auto keep = shared_from_this();
  const bool was_up = state_ == channel_state::up || state_ == channel_state::closing;
  const bool ends = state_ == channel_state::closing;
  if (why.code() == condition::protocol_violation) {
    protocol_ = true;
    where_.totals().protocol_errors.add(1);
  }
  const bool said_login = link_is_up_ && route_.server && login_step_ != login_step::asked;
  if (!was_up && !protocol_ && said_login && why != errc::auth) return attempt_failed(route_.server->wrong_key(why));
  if (!was_up && !protocol_) return attempt_failed(why);
  last_error_ = why;
  drop_link();
  backoff_.on_down(now(), heard_);
  const bool again = route_.again && with_.link.reconnect && !protocol_ && !ends;
  enter(again ? channel_state::waiting : channel_state::closing);
  where_.log(log_level::info, "gateway", [&] { return route_.url + " down: " + why.text(); });
  commands_.clear();
  queued_ += std::exchange(commands_bytes_, 0);
  want_room_.clear();
  want_progress_.clear();
  paused_ = false;
  for (auto event = peer_.on_lost(); event.what != type::none; event = peer_.on_lost()) {
    if (event.what == type::refused) {
      if (const auto found = find_dial(event.dial); found != dials_.end()) end_dial(found, errc::closed);
    } else if (const auto found = channels_.find(event.connection); found != channels_.end()) {
      found->second->end(why.in("the connection to the gateway is lost"), false);
    }
  }
  down_info info{why};
  info.will_reconnect = again && state_ == channel_state::waiting;
  down_handler_(where_.io(), info);
  if (state_ == channel_state::waiting || state_ == channel_state::closing) retry_or_finish(why);
}

void gateway_parts::retry_or_finish(const error& why) {
  if (!route_.again || !with_.link.reconnect || protocol_ || state_ == channel_state::closing) return finish(why);
  // Who does not answer a ping has kept us waiting long enough.
  const bool at_once = state_ == channel_state::waiting && why == errc::timeout;
  const auto delay = backoff_.next(os::random_unit());
  if (!delay) return finish(why);
  enter(channel_state::waiting);
  retry_at_ = now() + (at_once ? duration::zero() : *delay);
  arm();
}

void gateway_parts::finish(const error& why) {
  if (state_ == channel_state::closed) return;
  const auto keep = shared_from_this();
  enter(channel_state::closed);
  last_error_ = why;
  drop_link();
  timer_.cancel();
  retry_at_.reset();
  arrived_.clear();
  held_.reset();
  while (!dials_.empty()) end_dial(dials_.begin(), errc::closed);
  for (auto& one : accepts_.take_all()) one.done(errc::closed, {});
  for (auto& one : up_waiters_.take_all()) one.done(why.code());
  asio::post(where_.io(), [keep] {
    keep->channel_handler_ = nullptr;
    keep->up_handler_ = nullptr;
    keep->down_handler_ = nullptr;
    keep->failure_handler_ = nullptr;
    keep->with_.on_ping_timeout = nullptr;
  });
}

void gateway_parts::close() {
  if (state_ == channel_state::closed) return;
  if (state_ != channel_state::up && state_ != channel_state::closing) return finish(errc::closed);
  enter(channel_state::closing);
  lost(errc::closed);
}

void gateway_parts::async_close(send_completion done) {
  if (state_ != channel_state::up) {
    close();
    return done({});
  }
  enter(channel_state::closing);
  // Behind all that is queued. Where there is no room for it the gateway waits, as for anybody whose connection breaks.
  if (with_.resume.kind == gateway_resume::token)
    (void)send_now(bytes(wire::k_leave_packet).subspan(wire::k_length_bytes));
  link_.async_close([self = shared_from_this(), done = std::make_shared<send_completion>(std::move(done))](
                        error_code, const close_report& report) {
    const bool all = report.messages_unsent == 0 && report.reason != errc::timeout;
    self->close();
    (*done)(all ? error_code{} : report.reason.code());
  });
}

// Sending -----------------------------------------------------------------------------------------

bool gateway_parts::send_now(bytes packet) {
  if (!link_.try_send(packet)) return false;
  queued_ += wire::k_length_bytes + packet.size();
  return true;
}

void gateway_parts::send(const wire::command& what) {
  const auto made = encode(what);
  if (link_ && commands_.empty() && send_now(made.view().subspan(wire::k_length_bytes))) return;
  commands_.push_back(made);
  commands_bytes_ += made.size;
}

void gateway_parts::send_commands() {
  while (!commands_.empty() && send_now(commands_.front().view().subspan(wire::k_length_bytes))) {
    commands_bytes_ -= commands_.front().size;
    commands_.pop_front();
  }
}

result<void> gateway_parts::send(virtual_channel& from, bytes message) {
  const auto may = peer_.may_send(from.address().connection, message.size(), now());
  if (!may) return may.error();
  const std::size_t size = message.size() + 4;
  const auto put = [&](std::byte* to) {
    store_le(to, from.address().connection);
    if (!message.empty()) std::memcpy(to + 4, message.data(), message.size());
  };
  constexpr std::size_t k_kept = 16 * 1024;
  auto sent = result<void>(errc::full);
  send_commands();
  if (commands_.empty()) {
    pooled_buffer large;
    if (size <= k_kept)
      scratch_.resize(std::max(scratch_.size(), size));
    else
      large = where_.buffers().acquire(size);
    if (size > k_kept && !large) return errc::no_memory;
    std::byte* const at = large ? large.data() : scratch_.data();
    put(at);
    sent = link_.try_send(bytes(at, size));
  }
  if (sent) {
    queued_ += wire::k_length_bytes + size;
    return {};
  }
  if (sent.error() == errc::full)
    want_room_.push_back(std::static_pointer_cast<virtual_channel>(from.shared_from_this()));
  return sent.error();
}

void gateway_parts::close_connection(virtual_channel& which) {
  (void)peer_.close(which.address().connection, now(), *this);
  arm();
}

std::uint64_t gateway_parts::taken() const {
  if (!link_) return queued_;
  return queued_ - std::min<std::uint64_t>(queued_, link_.stats().send_queue_bytes);
}

void gateway_parts::tell_progress(virtual_channel& which) {
  want_progress_.push_back(std::static_pointer_cast<virtual_channel>(which.shared_from_this()));
  if (!link_ || std::exchange(flush_asked_, true)) return;
  link_.async_flush([weak = weak_from_this()](error_code) {
    if (const auto self = weak.lock()) self->progressed();
  });
}

void gateway_parts::progressed() {
  flush_asked_ = false;
  const auto waiting = std::exchange(want_progress_, {});
  for (const auto& one : waiting)
    if (const auto alive = one.lock()) alive->progressed();
}

void gateway_parts::drained() {
  const auto keep = shared_from_this();
  send_commands();
  if (!commands_.empty()) return;
  const auto waiting = std::exchange(want_room_, {});
  for (const auto& one : waiting)
    if (const auto alive = one.lock()) alive->drained();
}

// Receiving ---------------------------------------------------------------------------------------

void gateway_parts::take(bytes packet) {
  if (login_step_ != login_step::done) return log_in(packet);
  if (packet.size() < wire::k_min_length)
    return lost(error(errc::protocol,
                      "a packet of " + std::to_string(packet.size()) + " bytes from the gateway, 4 are the fewest"));
  wire::packet what;
  what.consumed = what.total = packet.size() + wire::k_length_bytes;
  what.connection = load_le<std::uint32_t>(packet.data());
  what.message = packet.subspan(4);
  if (!heard_) {
    heard_ = true;
    if (route_.server && state_ == channel_state::connecting) go_up();
    if (!link_) return;
  }
  const auto event = peer_.on_packet(what, now(), *this);
  if (!event) return lost(event.error());
  const auto keep = shared_from_this();
  act(*event);
  if (commands_.size() > std::size_t{with_.max_connections} + with_.max_dials + k_more_commands)
    lost(error(errc::full, "the gateway does not read what it makes us say"));
}

void gateway_parts::act(const session::gateway_event& event) {
  switch (event.what) {
    case type::none: return;
    case type::message: return deliver(event);
    case type::connected: return arrive(event);
    case type::accepted: {
      const auto found = find_dial(event.dial);
      if (found == dials_.end()) return (void)peer_.close(event.connection, now(), *this);
      stats_.dialled += 1;
      auto done = std::move(found->done);
      dials_.erase(found);
      return done({}, hold(add(event)));
    }
    case type::refused:
      if (const auto found = find_dial(event.dial); found != dials_.end()) end_dial(found, errc::refused);
      return;
    case type::dial_timed_out:
      if (const auto found = find_dial(event.dial); found != dials_.end()) end_dial(found, errc::timeout);
      return;
    case type::closed:
      if (const auto found = channels_.find(event.connection); found != channels_.end())
        found->second->end(errc::end_of_stream, true);
      return;
    case type::ping_timed_out: break;
  }
  const auto life = life_;
  if (const auto tell = with_.on_ping_timeout) tell();
  if (life != life_) return;
  const auto resumes = route_.resumes.lock();
  if (!resumes || !resumes->renew()) return lost(error(errc::timeout, "the gateway did not answer a ping in time"));
  peer_.on_up(now());
  arm();
}

void gateway_parts::deliver(const session::gateway_event& event) {
  const auto found = channels_.find(event.connection);
  if (found == channels_.end()) return;
  virtual_channel& to = *found->second;
  if (to.take({event.message})) return;
  if (to.is_over()) return;
  if (with_.when_full == gateway_overflow::close)
    return to.fail(error(errc::full, "its receive queue is full, or it is paused (when_full = close)"));
  auto copy = message::copy_of({event.message}, where_.buffers());
  if (!copy.ok()) return lost(error(errc::no_memory, "no buffer for a message that has to wait"));
  held_ =
      held_message{event.connection, std::static_pointer_cast<virtual_channel>(to.shared_from_this()), std::move(copy)};
  paused_ = true;
  stats_.held_up += 1;
  link_.pause();
}

bool gateway_parts::holds_for(const virtual_channel& which) const noexcept {
  return held_ && held_->connection == which.address().connection && !held_->to.expired() &&
         held_->to.lock().get() == &which;
}

void gateway_parts::resume(virtual_channel& which) {
  if (!holds_for(which)) return;
  auto waiting = std::exchange(held_, std::nullopt);
  if (!which.take(waiting->what.view())) {
    if (!which.is_over() || state_ != channel_state::closed) held_ = std::move(waiting);
    return;
  }
  if (std::exchange(paused_, false) && link_) link_.resume();
}

void gateway_parts::forget(virtual_channel& which) noexcept {
  if (const auto found = channels_.find(which.address().connection);
      found != channels_.end() && found->second == &which)
    channels_.erase(found);
  if (!held_ || held_->connection != which.address().connection) return;
  if (const auto whose = held_->to.lock(); whose && whose.get() != &which) return;
  held_.reset();
  if (std::exchange(paused_, false) && link_) link_.resume();
}

void gateway_parts::on_up(std::function<void(const peer_info&)> handler) {
  up_handler_ = std::move(handler);
  if (state_ != channel_state::up) return;
  asio::post(where_.io(), [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && self->state_ == channel_state::up)
      self->up_handler_(self->where_.io(), self->link_.peer());
  });
}

void gateway_parts::wait_up(send_completion done) {
  if (state_ == channel_state::up) return done({});
  if (state_ == channel_state::closed) return done(last_error_.code());
  up_waiters_.add(shared_from_this(), &gateway_parts::up_waiters_, where_.io(), std::move(done), {},
                  [](send_completion& one) { one(errc::cancelled); });
}

}  // namespace ferry::detail
