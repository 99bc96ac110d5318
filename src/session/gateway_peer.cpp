#include "session/gateway_peer.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ferry::session {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;
using type = gateway_event::type;

error never(const command& what, const char* why) {
  return {errc::protocol, std::string("the gateway says ") + to_string(what.type) + ", " + why};
}

}  // namespace

gateway_peer::gateway_peer(const gateway_peer_options& options) noexcept
    : options_(options),
      pings_({.interval = options.ping_interval, .max_misses = 1, .timeout = options.ping_timeout}) {}

void gateway_peer::say(const command& what, time_point now, gateway_peer_output& out) {
  pings_.on_sent(now);
  out.send(what);
}

result<std::uint64_t> gateway_peer::dial(std::uint32_t remote, time_point now, gateway_peer_output& out) {
  if (dials_.size() >= options_.max_dials)
    return error(errc::busy, std::to_string(options_.max_dials) + " dials wait for an answer, the limit");
  const auto limit = options_.dial_timeout > duration::zero() ? std::min(options_.dial_timeout, k_longest_wait)
                                                              : duration(k_longest_wait);
  dials_.push_back({++last_dial_, remote, now + limit, false});
  ++waiting_;
  say(command::dial(remote), now, out);
  return last_dial_;
}

void gateway_peer::give_up(std::uint64_t dial) noexcept {
  const auto found = std::find_if(dials_.begin(), dials_.end(), [&](const auto& one) { return one.number == dial; });
  if (found == dials_.end() || std::exchange(found->over, true)) return;
  --waiting_;
}

result<void> gateway_peer::close(std::uint32_t connection, time_point now, gateway_peer_output& out) {
  if (remotes_.erase(connection) == 0) return errc::closed;
  say(command::close(connection), now, out);
  return {};
}

result<void> gateway_peer::may_send(std::uint32_t connection, std::size_t message_bytes, time_point now) {
  if (!has(connection)) return errc::closed;
  const auto most = codec::gateway::max_message(options_.max_packet);
  if (message_bytes > most)
    return error(errc::message_too_large, "message of " + std::to_string(message_bytes) +
                                              " bytes, the largest that fits into max_packet is " +
                                              std::to_string(most));
  pings_.on_sent(now);
  return {};
}

result<gateway_event> gateway_peer::on_packet(const codec::gateway::packet& what, time_point now,
                                              gateway_peer_output& out) {
  if (what.connection == codec::gateway::k_command_connection) {
    const auto read = codec::gateway::decode_command(what.message);
    if (!read) return read.error();
    if (read->type == command_type::ping)
      pings_.on_answer(now);
    else
      pings_.on_received(now);
    return on_command(*read, behind_arguments(*read, what.message), now, out);
  }
  pings_.on_received(now);
  const auto found = remotes_.find(what.connection);
  if (found == remotes_.end()) return gateway_event{};  // on its way when we closed
  return gateway_event{type::message, 0, what.connection, found->second, what.message};
}

result<gateway_event> gateway_peer::on_command(const command& what, bytes more, time_point now,
                                               gateway_peer_output& out) {
  switch (what.type) {
    case command_type::accept:
    case command_type::refuse: return on_answer(what, now, out);
    case command_type::connect:
      if (what.connection == 0 || has(what.connection)) return never(what, "with a number that cannot be new");
      if (remotes_.size() >= options_.max_connections) {
        say(command::close(what.connection), now, out);
        return gateway_event{};
      }
      remotes_.emplace(what.connection, what.remote);
      return gateway_event{type::connected, 0, what.connection, what.remote, more};
    case command_type::close: {
      const auto found = remotes_.find(what.connection);
      if (found == remotes_.end()) return gateway_event{};  // the answer to our own, or both at once
      const gateway_event event{type::closed, 0, what.connection, found->second, {}};
      remotes_.erase(found);
      return event;
    }
    case command_type::ping: return gateway_event{};
    case command_type::dial: break;
  }
  return never(what, "which only its members say");
}

// Answers come in the order of the dials, so the first dial to that remote is the one.
result<gateway_event> gateway_peer::on_answer(const command& what, time_point now, gateway_peer_output& out) {
  const auto found =
      std::find_if(dials_.begin(), dials_.end(), [&](const auto& one) { return one.remote == what.remote; });
  if (found == dials_.end()) return never(what, "to a dial that nobody made");
  const bool accepted = what.type == command_type::accept;
  if (accepted && (what.connection == 0 || has(what.connection)))
    return never(what, "with a number that cannot be new");
  const waiting_dial was = *found;
  dials_.erase(found);
  if (was.over) {
    if (accepted) say(command::close(what.connection), now, out);
    return gateway_event{};
  }
  --waiting_;
  if (!accepted) return gateway_event{type::refused, was.number, 0, was.remote, {}};
  remotes_.emplace(what.connection, was.remote);
  return gateway_event{type::accepted, was.number, what.connection, was.remote, {}};
}

gateway_event gateway_peer::on_time(time_point now, gateway_peer_output& out) {
  for (auto& one : dials_) {
    if (one.over) continue;
    if (one.until > now) break;
    one.over = true;
    --waiting_;
    return {type::dial_timed_out, one.number, 0, one.remote, {}};
  }
  switch (pings_.on_timer(now)) {
    case heartbeat_action::none: break;
    case heartbeat_action::ask: out.send(command::ping()); break;
    case heartbeat_action::dead: return {type::ping_timed_out, 0, 0, 0, {}};
  }
  return {};
}

std::optional<time_point> gateway_peer::next() const noexcept {
  auto when = pings_.next();
  for (const auto& one : dials_) {
    if (one.over) continue;
    if (!when || one.until < *when) when = one.until;
    break;
  }
  return when;
}

gateway_event gateway_peer::on_lost() {
  pings_.on_down();
  while (!dials_.empty()) {
    const auto was = dials_.front();
    dials_.pop_front();
    if (was.over) continue;
    --waiting_;
    return {type::refused, was.number, 0, was.remote, {}};
  }
  if (remotes_.empty()) return {};
  const auto first = remotes_.begin();
  const gateway_event event{type::closed, 0, first->first, first->second, {}};
  remotes_.erase(first);
  return event;
}

}  // namespace ferry::session
