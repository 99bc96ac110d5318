// The life of a socket.
#include "socket/object.hpp"

#include <cerrno>

#include "os/socket.hpp"
#include "socket/address.hpp"

namespace ferry::sockets {
namespace {

bool in_order(const error& why) { return why == errc::closed || why == errc::end_of_stream; }

}  // namespace

bool socket_object::on(socket_event what) {
  const auto next = after(state_, what);
  if (!next) return false;
  const auto from = std::exchange(state_, *next);
  with_.changed(id_, from, state_);
  return true;
}

error socket_object::wrong_state(const char* call) const {
  return {errc::misuse, std::string(call) + ": not in state " + to_string(state_), EINVAL};
}

// Beginning ---------------------------------------------------------------------------------------

result<void> socket_object::bind(const socket_address& at) {
  if (state_ != socket_state::init) return wrong_state("bind");
  if (const auto checked = endpoint_of(transport_, at, with_.schemes); !checked) return checked.error();
  bound_ = at;
  on(socket_event::bind);
  return {};
}

// Who receives as a stream wants fragments as they come, where the transport has them.
options socket_object::carrying() const {
  options with = settings_;
  if (own_.receiving == receive_as::stream && is_websocket(transport_)) with.ws_delivery = ws_delivery_kind::pieces;
  return with;
}

std::string socket_object::name_to_look_up() const {
  if (state_ != socket_state::bound || !has_hosts(transport_)) return {};
  const auto at = endpoint_of(transport_, bound_, with_.schemes);
  return at && !os::is_literal(at->host) ? at->host : std::string();
}

result<void> socket_object::listen(std::uint32_t backlog, const std::vector<std::string>& hosts) {
  if (state_ != socket_state::bound) return wrong_state("listen");
  auto at = endpoint_of(transport_, bound_, with_.schemes);
  if (!at) return at.error();
  options with = carrying();
  if (backlog != 0) {
    if (auto problem = set_option(with, "backlog", std::to_string(backlog)))
      return error(errc::bad_option, std::move(problem->text));
  }
  if (!hosts.empty()) at->host = hosts.front();
  auto made = listener::open(with_.where, *at, with);
  for (std::size_t i = 1; !made && i < hosts.size(); ++i) {
    at->host = hosts[i];
    made = listener::open(with_.where, *at, with);
  }
  if (!made) return made.error();
  at_ = std::move(*made);
  on(socket_event::listen);
  arm_accept();
  return {};
}

// One is taken before anybody asks, so that it can be told that it is there; the others wait in the kernel.
void socket_object::arm_accept() {
  at_.async_accept([weak = weak_from_this()](error_code failed, channel one) {
    const auto self = weak.lock();
    if (failed || !self || self->state_ != socket_state::listening) return;
    self->arrived(std::move(one));
  });
}

void socket_object::arrived(channel one) {
  auto made = std::make_shared<socket_object>(with_, transport_);
  made->own_ = own_;
  made->own_.nonblocking = false;
  made->settings_ = settings_;
  made->link_ = std::move(one);
  made->was_up_ = true;
  made->watch();
  arrivals_.push_back(std::move(made));
}

std::shared_ptr<socket_object> socket_object::take_arrival() {
  if (arrivals_.empty()) return nullptr;
  auto first = std::move(arrivals_.front());
  arrivals_.pop_front();
  arm_accept();
  return first;
}

// What happened before anybody had accepted it is made up for.
void socket_object::opened() {
  if (has_handshake(transport_)) on(socket_event::handshake);
  on(socket_event::accept);
  if (receiving_ == half::ended || link_.state() == channel_state::closing) on(socket_event::end);
  if (link_.state() == channel_state::closed) {
    on(socket_event::end);
    on(socket_event::over);
  }
}

result<void> socket_object::connect(const socket_address& to) {
  switch (state_) {
    case socket_state::init: break;
    case socket_state::connecting:
    case socket_state::handshaking:
    case socket_state::reconnecting: return error(errc::misuse, "connect: goes on already", EALREADY);
    case socket_state::open:
    case socket_state::closing: return error(errc::misuse, "connect: connected already", EISCONN);
    case socket_state::bound:
    case socket_state::listening:
    case socket_state::closed: return wrong_state("connect");
  }
  const auto there = endpoint_of(transport_, to, with_.schemes);
  if (!there) return there.error();
  auto made = channel::prepare(with_.where, *there, carrying());
  if (!made) return made.error();
  link_ = std::move(*made);
  watch();
  on(socket_event::connect);
  wait_for_up();
  link_.connect();
  return {};
}

std::optional<result<void>> socket_object::connect_outcome() const {
  if (state_ == socket_state::open || state_ == socket_state::closing || was_up_) return result<void>();
  if (state_ == socket_state::closed) return result<void>(why_);
  return std::nullopt;
}

// What the channel tells ---------------------------------------------------------------------------

void socket_object::watch() {
  const auto told = [weak = weak_from_this()](auto f) {
    return [weak, f](auto&&... what) {
      if (const auto self = weak.lock()) f(*self, what...);
    };
  };
  link_.on_up(told([](socket_object& self, const peer_info&) {
    self.was_up_ = true;
    self.on(socket_event::up);
  }));
  link_.on_down(told([](socket_object& self, const down_info& info) { self.went_down(info); }));
  link_.on_connect_failure(told([](socket_object& self, const error& why) { self.attempt_failed(why); }));
  link_.on_attempt(told([](socket_object& self, attempt_step step) {
    self.on(step == attempt_step::handshake ? socket_event::handshake : socket_event::again);
  }));
  link_.on_drain(told([](socket_object& self) { self.full_ = false; }));
  // A WebSocket's end is answered at once (RFC 6455, 5.5.1); elsewhere our direction stays open as BSD's does.
  if (!is_websocket(transport_)) link_.on_peer_end(told([](socket_object& self) { self.peer_ended(); }));
  (void)fill();  // before anything can have come: somebody will ask for it, and may want to answer
}

void socket_object::wait_for_up() {
  link_.async_wait_up([weak = weak_from_this()](error_code failed) {
    if (const auto self = weak.lock(); self && failed) self->never_up(self->link_.last_error());
  });
}

void socket_object::peer_ended() {
  receiving_ = half::ended;
  on(socket_event::end);
}

void socket_object::went_down(const down_info& info) {
  full_ = false;
  on(in_order(info.reason) ? socket_event::end : socket_event::fail);
  on(socket_event::over);
  if (info.will_reconnect) {
    on(socket_event::retry);
    return wait_for_up();
  }
  if (!in_order(info.reason)) lost_ += info.messages_maybe_lost;
  why_ = info.reason;
  if (!in_order(why_)) pending_ = why_;
  over_for_good();
}

void socket_object::attempt_failed(const error& why) {
  on(socket_event::fail);
  if (settings_.reconnect && owner_ == owner::there) {
    on(socket_event::retry);
  } else {
    why_ = pending_ = why;
  }
}

void socket_object::never_up(const error& why) {
  why_ = why;
  if (!in_order(why)) pending_ = why;
  on(socket_event::drop);
  over_for_good();
}

void socket_object::over_for_good() {
  if (owner_ == owner::gone && over()) with_.finished(*this);
}

// Ending ------------------------------------------------------------------------------------------

result<void> socket_object::shutdown(shutdown_what what) {
  if (state_ != socket_state::open && state_ != socket_state::closing)
    return error(errc::misuse, std::string("shutdown: not connected, in state ") + to_string(state_), ENOTCONN);
  if (what != shutdown_what::sending) {
    receiving_ = half::ended;
    front_ = {};
    // Where the transport cannot refuse, what comes is dropped, so that the peer is not held up.
    static_cast<void>(link_.end_receiving());
    link_.on_message([](const message_view&) {});
  }
  if (what != shutdown_what::receiving) {
    sending_ = half::ended;
    begun_.clear();
    on(socket_event::end);
    if (what == shutdown_what::both) {
      link_.on_message([](const message_view&) {});
      link_.async_close([](error_code, const close_report&) {});
    } else {
      link_.half_close();
    }
  }
  return {};
}

void socket_object::close(close_as how) {
  owner_ = owner::gone;
  arrivals_.clear();
  if (at_) std::exchange(at_, {}).close();
  front_ = {};
  begun_.clear();
  const bool connected = state_ == socket_state::open || state_ == socket_state::closing;
  const bool queued = state_ == socket_state::reconnecting || (was_up_ && !over());
  if (link_ && how == close_as::graceful && (connected || queued)) {
    on(socket_event::end);
    link_.on_message([](const message_view&) {});
    // Whatever is under way already ends it too.
    link_.async_close([weak = weak_from_this()](error_code, const close_report& left) {
      const auto self = weak.lock();
      if (!self) return;
      // Who has ended before us, in order, had what it wanted; the bound stays in the statistics.
      self->lost_ = left.messages_unsent + (in_order(left.reason) ? 0 : left.messages_maybe_lost);
      self->why_ = left.reason;
      self->on(socket_event::drop);
      self->over_for_good();
    });
    return;
  }
  if (link_) {
    lost_ += link_.stats().send_queue_messages;
    link_.cut();
  }
  on(socket_event::drop);
  over_for_good();
}

result<void> socket_object::close_outcome() const {
  if (lost_ == 0) return {};
  const auto& reason = in_order(why_) || why_.reason() == errc{} ? error(errc::reset) : why_;
  return error(reason.reason(),
               "close: " + std::to_string(lost_) + " messages may not have reached the peer: " + reason.text(),
               reason.system_errno());
}

}  // namespace ferry::sockets
