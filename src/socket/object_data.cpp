// What goes through a socket, and what can be known and set.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "channel/option_value.hpp"
#include "socket/address.hpp"
#include "socket/object.hpp"
#include "socket/option_names.hpp"

namespace ferry::sockets {
namespace {

constexpr std::size_t k_stream_piece = 64u << 10;  // bytes of one message that carries a piece of a stream

error not_connected(const char* call, socket_state state) {
  return {errc::misuse, std::string(call) + ": not connected, in state " + to_string(state), ENOTCONN};
}

bool would_block(const error& why) { return why == errc::would_block || why == errc::full; }

}  // namespace

// Sending -----------------------------------------------------------------------------------------

std::optional<error> socket_object::why_not_sending() const {
  if (sending_ == half::ended) return error(errc::closed, "send: this direction was shut down");
  switch (state_) {
    case socket_state::init:
    case socket_state::bound:
    case socket_state::listening: return not_connected("send", state_);
    case socket_state::connecting:
    case socket_state::handshaking:
    case socket_state::reconnecting:
      return was_up_ ? std::nullopt : std::optional(error(errc::would_block, "send: not connected yet"));
    case socket_state::open:
    case socket_state::closing: return std::nullopt;
    case socket_state::closed: return why_.reason() == errc{} ? error(errc::closed) : why_;
  }
  return std::nullopt;
}

bool socket_object::can_send() const {
  const auto refused = why_not_sending();
  return refused ? !would_block(*refused) : !full_;
}

// With `more`, and behind it until the last part, a fragment of a message; only where the transport carries parts.
result<void> socket_object::push(bytes payload, message_kind kind, bool more) {
  auto sent = more || inside_ ? link_.try_send_part(payload, more, kind) : link_.try_send(payload, kind);
  if (sent || sent.error() != errc::full) inside_ = sent && more;
  if (sent) return sent;
  if (sent.error() == errc::full) {
    full_ = true;
    return error(errc::would_block, "send: the queue holds " + get_option(settings_, "send_queue_bytes") +
                                        " (highWaterMark): wait until it is writable");
  }
  return sent;
}

result<std::size_t> socket_object::send(bytes payload, unsigned flags) {
  if (auto refused = why_not_sending()) return *refused;
  if (own_.receiving == receive_as::stream) return send_stream(payload, flags);
  return send_message(payload, flags);
}

result<std::size_t> socket_object::send_message(bytes payload, unsigned flags) {
  const auto kind = (flags & socket_flags::k_text) != 0 ? message_kind::text : message_kind::binary;
  const bool more = (flags & socket_flags::k_more) != 0;
  if (begun_.empty() && !more) {
    const auto sent = push(payload, kind, false);
    return sent ? result<std::size_t>(payload.size()) : sent.error();
  }
  if (payload.size() > settings_.max_message - std::min(settings_.max_message, begun_.size())) {
    const auto whole = begun_.size() + payload.size();
    begun_.clear();
    return error(errc::message_too_large, "send: a message of " + std::to_string(whole) +
                                              " bytes and more: max_message=" + get_option(settings_, "max_message") +
                                              "; all of it is dropped");
  }
  const auto before = begun_.size();
  begun_.insert(begun_.end(), payload.begin(), payload.end());
  if (more) return payload.size();
  const auto sent = push(begun_, kind, false);
  if (!sent && would_block(sent.error())) {
    begun_.resize(before);  // this call took nothing
    return sent.error();
  }
  begun_.clear();
  return sent ? result<std::size_t>(payload.size()) : sent.error();
}

result<std::size_t> socket_object::send_stream(bytes payload, unsigned flags) {
  const auto kind = (flags & socket_flags::k_text) != 0 ? message_kind::text : message_kind::binary;
  const bool goes_on = (flags & socket_flags::k_more) != 0 && link_.traits().carries_parts;
  if (payload.empty() && inside_ && !goes_on) {
    const auto sent = push(payload, kind, false);
    return sent ? result<std::size_t>(0u) : sent.error();
  }
  const bool in_parts = goes_on || inside_;
  const auto piece = std::min(settings_.max_message, k_stream_piece);
  std::size_t taken = 0;
  while (taken < payload.size()) {
    const auto next = payload.subspan(taken, std::min(piece, payload.size() - taken));
    const bool last = taken + next.size() == payload.size();
    const auto sent = push(next, kind, goes_on || (in_parts && !last));
    if (!sent && taken == 0) return sent.error();
    if (!sent) break;
    taken += next.size();
  }
  return taken;
}

// Receiving ---------------------------------------------------------------------------------------

bool socket_object::fill() {
  if (front_.ok()) return true;
  if (!link_ || receiving_ == half::ended) return false;
  auto next = link_.try_receive();
  if (!next) return false;
  front_ = std::move(*next);
  front_at_ = 0;
  return true;
}

void socket_object::consume(std::size_t bytes_taken) {
  front_at_ += bytes_taken;
  if (front_at_ == front_.size()) front_ = {};
}

result<socket_received> socket_object::nothing_there() const {
  if (receiving_ == half::ended) return socket_received{.end = true};
  switch (state_) {
    case socket_state::init:
    case socket_state::bound:
    case socket_state::listening: return not_connected("recv", state_);
    case socket_state::connecting:
    case socket_state::handshaking:
    case socket_state::reconnecting:
    case socket_state::open:
    case socket_state::closing: return error(errc::would_block);
    case socket_state::closed: break;
  }
  if (why_ == errc::closed || why_ == errc::end_of_stream || why_.reason() == errc{})
    return socket_received{.end = true};
  return why_;
}

bool socket_object::can_receive() {
  if (state_ == socket_state::listening) return has_arrival();
  if (fill()) return true;
  const auto outcome = nothing_there();
  return outcome || !would_block(outcome.error());
}

result<socket_received> socket_object::receive(mutable_bytes into, unsigned flags) {
  if (!fill()) return nothing_there();
  return own_.receiving == receive_as::stream ? receive_stream(into, flags) : receive_message(into, flags);
}

result<socket_received> socket_object::receive_message(mutable_bytes into, unsigned flags) {
  const auto rest = front_.payload().subspan(front_at_);
  const bool fits = rest.size() <= into.size();
  if (!fits && (flags & socket_flags::k_truncate) == 0)
    return error(errc::message_too_large,
                 "recv: the message has " + std::to_string(rest.size()) + " bytes, the buffer " +
                     std::to_string(into.size()) + "; it stays where it is",
                 EMSGSIZE);
  const auto size = std::min(rest.size(), into.size());
  if (size != 0) std::memcpy(into.data(), rest.data(), size);
  const socket_received got{size, rest.size(), front_.kind(), front_.type(), false, fits && !front_.more()};
  if ((flags & socket_flags::k_peek) == 0) consume(rest.size());
  return got;
}

result<socket_received> socket_object::receive_stream(mutable_bytes into, unsigned flags) {
  socket_received got;
  const bool peek = (flags & socket_flags::k_peek) != 0;
  while (fill()) {
    const auto rest = front_.payload().subspan(front_at_);
    const auto size = std::min(rest.size(), into.size() - got.size);
    if (size != 0) std::memcpy(into.data() + got.size, rest.data(), size);
    got.kind = front_.kind();
    got.type = front_.type();
    got.size += size;
    got.message_end = size == rest.size() && !front_.more();
    if (peek && got.size != 0) break;
    consume(size);
    if (got.size == into.size()) break;
  }
  got.length = got.size;
  // Empty messages are nothing in a stream.
  return got.size == 0 && !into.empty() ? nothing_there() : got;
}

unsigned socket_object::events() {
  unsigned found = 0;
  if (can_receive()) found |= socket_events::k_in;
  if (state_ != socket_state::listening && can_send()) found |= socket_events::k_out;
  if (pending_.reason() != errc{}) found |= socket_events::k_err;
  if (state_ == socket_state::closed || receiving_ == half::ended) found |= socket_events::k_hup;
  return found;
}

// Knowing -----------------------------------------------------------------------------------------

result<socket_address> socket_object::peer() const {
  if (!link_ || !was_up_) return not_connected("getpeername", state_);
  return address_of(transport_, link_.peer().address);
}

result<socket_address> socket_object::here() const {
  if (at_) return address_of_url(transport_, at_.url(), with_.schemes);
  if (link_) return address_of(transport_, link_.local_address());
  return bound_;
}

socket_stats socket_object::stats() const {
  socket_stats all;
  if (link_) all.channel = link_.stats();
  if (at_) {
    const auto listening = at_.stats();
    all.accepted = listening.accepted;
    all.refused = listening.refused;
  }
  return all;
}

// Options -----------------------------------------------------------------------------------------

bool socket_object::set_own(std::string_view name, std::string_view value, std::optional<error>& failed) {
  const auto bad = [&](const char* form) {
    failed = error(errc::bad_option, std::string(name) + "=" + std::string(value.substr(0, 64)) + ": " + form, EINVAL);
  };
  const auto set_duration = [&](options::duration& at) {
    constexpr std::uint64_t longest = 1'000'000'000'000'000'000;
    const auto parsed = parse_whole(option_unit::duration, value);
    parsed&&* parsed <= longest ? void(at = options::duration(static_cast<std::int64_t>(*parsed)))
                                : bad("must be a duration (500ms, 10s), 0: for ever");
  };
  const auto set_choice = [&](auto& at, std::string_view first, std::string_view second) {
    using type = std::remove_reference_t<decltype(at)>;
    value == first || value == second ? void(at = value == first ? type{0} : type{1}) : bad("not one of its values");
  };
  if (name == "nonblocking") {
    const auto parsed = parse_flag(value);
    parsed ? void(own_.nonblocking = *parsed) : bad("must be on or off");
  } else if (name == "receive_timeout") {
    set_duration(own_.receive_timeout);
  } else if (name == "send_timeout") {
    set_duration(own_.send_timeout);
  } else if (name == "receive_mode") {
    if (value == "message" && link_ && is_websocket(transport_) && settings_.ws_delivery == ws_delivery_kind::whole &&
        link_.settings().ws_delivery == ws_delivery_kind::pieces)
      bad("fragments are handed on as they come since it was connected; it stays stream");
    else
      set_choice(own_.receiving, "message", "stream");
  } else if (name == "close_policy") {
    set_choice(own_.closing, "graceful", "hard");
  } else if (name == "state" || name == "error" || name == "system_errno" || name == "transport") {
    failed = error(errc::bad_option, std::string(name) + ": can only be read", EINVAL);
  } else {
    return false;
  }
  return true;
}

std::optional<std::string> socket_object::get_own(std::string_view name) {
  const auto written = [](options::duration value) {
    return format_whole(option_unit::duration, static_cast<std::uint64_t>(value.count()));
  };
  if (name == "nonblocking") return std::string(format_flag(own_.nonblocking));
  if (name == "receive_timeout") return written(own_.receive_timeout);
  if (name == "send_timeout") return written(own_.send_timeout);
  if (name == "receive_mode") return own_.receiving == receive_as::message ? "message" : "stream";
  if (name == "close_policy") return own_.closing == close_as::graceful ? "graceful" : "hard";
  if (name == "state") return to_string(state_);
  if (name == "transport") return scheme_of(transport_);
  if (name == "system_errno") return std::to_string(why_.system_errno());
  if (name == "error") return std::to_string(static_cast<int>(socket_errno_of(std::exchange(pending_, {}))));
  return std::nullopt;
}

result<void> socket_object::set(std::string_view name, std::string_view value) {
  const auto* row = find_option(name);
  const std::string_view known = row != nullptr ? row->name : name;
  std::optional<error> failed;
  if (set_own(known, value, failed)) return failed ? result<void>(*failed) : result<void>();
  if (state_ != socket_state::init && state_ != socket_state::bound)
    return error(errc::misuse, std::string(known) + ": must be set before connect or listen", EINVAL);
  if (known == "tls_verify" && parse_flag(value)) value = *parse_flag(value) ? "yes" : "no";
  auto changed = settings_;
  auto problem = set_option(changed, known, value);
  if (problem) return error(problem->unknown ? errc::unknown_option : errc::bad_option, std::move(problem->text));
  settings_ = std::move(changed);
  return {};
}

result<std::string> socket_object::get(std::string_view name) {
  const auto* row = find_option(name);
  const std::string_view known = row != nullptr ? row->name : name;
  if (auto own = get_own(known)) return *own;
  const auto table = option_table();
  const bool exists = std::any_of(table.begin(), table.end(), [&](const auto& one) {
    const auto* found = find_option(one.name);
    return one.name == known || (row != nullptr && found == row);
  });
  if (!exists) return error(errc::unknown_option, "no option '" + std::string(name.substr(0, 64)) + "'");
  return get_option(settings_, known);
}

}  // namespace ferry::sockets
