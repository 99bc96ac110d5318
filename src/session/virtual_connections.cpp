#include "session/virtual_connections.hpp"

#include <algorithm>
#include <string>

namespace ferry::session {
namespace {

using codec::gateway::command;
using codec::gateway::command_type;

constexpr std::size_t index_of(gateway_role side) noexcept { return side == gateway_role::client ? 0 : 1; }
constexpr gateway_role other(gateway_role side) noexcept {
  return side == gateway_role::client ? gateway_role::server : gateway_role::client;
}

error too_many(std::uint32_t limit) {
  return {errc::busy, "there are " + std::to_string(limit) + " clients and servers, the limit"};
}

error of_others(const char* what, std::uint32_t number) {
  return {errc::protocol,
          std::string(what) + " for virtual connection " + std::to_string(number) + ", which belongs to others"};
}

}  // namespace

virtual_connections::virtual_connections(const virtual_connection_limits& limits, const gateway_numbering& order,
                                         gateway_directory* shared)
    : limits_(limits), shared_(shared) {
  renumber(order);
  // Below half of all numbers, so that a free one is near.
  limits_.max_connections = std::min(limits_.max_connections, 1u << 31);
  limits_.max_members = std::min(limits_.max_members, 1u << 31);
}

void virtual_connections::renumber(const gateway_numbering& order) noexcept {
  numbers_ = gateway_numbers(order);
  last_client_ = order.first_client - 1;
}

void virtual_connections::enter(gateway_member& who, gateway_role role, std::uint32_t id) noexcept {
  who.role_ = role;
  who.id_ = id;
  who.connections_ = 0;
  who.first_ = k_none;
  who.state_ = gateway_member::state::present;
  ++members_;
}

result<void> virtual_connections::add_client(gateway_member& who) {
  if (shared_ != nullptr) {
    const auto id = shared_->add_client(who);
    clients_.insert_or_assign(id, &who);
    enter(who, gateway_role::client, id);
    return {};
  }
  if (members_ >= limits_.max_members) return too_many(limits_.max_members);
  do ++last_client_;
  while (last_client_ == 0 || clients_.contains(last_client_));
  clients_.emplace(last_client_, &who);
  enter(who, gateway_role::client, last_client_);
  return {};
}

result<void> virtual_connections::add_server(gateway_member& who, std::uint32_t id) {
  if (shared_ != nullptr)
    shared_->add_server(who, id);
  else if (members_ >= limits_.max_members)
    return too_many(limits_.max_members);
  servers_.insert_or_assign(id, &who);
  enter(who, gateway_role::server, id);
  return {};
}

void virtual_connections::add_remote(gateway_member& who, gateway_role role) noexcept {
  enter(who, role, 0);
  who.is_remote_ = true;
  --members_;
}

gateway_member* virtual_connections::find(gateway_role role, std::uint32_t id) const noexcept {
  const auto& all = role == gateway_role::client ? clients_ : servers_;
  const auto found = all.find(id);
  return found == all.end() ? nullptr : found->second;
}

void virtual_connections::leave(gateway_member& who) noexcept {
  if (who.state_ != gateway_member::state::present) return;
  who.state_ = gateway_member::state::leaving;
  if (shared_ != nullptr) shared_->remove(who);
  // Its ID may be another one's by now.
  auto& all = by_id(who.role_);
  if (const auto found = all.find(who.id_); found != all.end() && found->second == &who) all.erase(found);
}

void virtual_connections::remove(gateway_member& who, gateway_commands& out) {
  if (who.state_ == gateway_member::state::away) return;
  leave(who);
  while (who.first_ != k_none) {
    const auto at = who.first_;
    auto& peer = *slots_[at].ends[index_of(other(who.role_))].who;
    const auto number = slots_[at].number;
    end(at);
    out.tell(peer, command::close(number));
  }
  who.state_ = gateway_member::state::away;
  --members_;
}

result<gateway_member*> virtual_connections::on_packet(gateway_member& from, const codec::gateway::packet& what,
                                                       gateway_commands& out) {
  if (what.connection == codec::gateway::k_command_connection) return on_command(from, what.message, out);
  const auto found = by_number_.find(what.connection);
  if (found == by_number_.end()) {
    if (is_of_others(what.connection)) return of_others("a packet", what.connection);
    ++counts_.unknown_packets;
    out.tell(from, command::close(what.connection));
    return nullptr;
  }
  const auto& ends = slots_[found->second].ends;
  const auto own = index_of(from.role_);
  if (ends[own].who != &from) return of_others("a packet", what.connection);
  return ends[1 - own].who;
}

result<gateway_member*> virtual_connections::on_command(gateway_member& from, bytes message, gateway_commands& out) {
  const auto read = codec::gateway::decode_command(message);
  if (!read) return read.error();
  switch (read->type) {
    case command_type::dial: dial(from, read->remote, out); return nullptr;
    case command_type::close:
      if (!close(from, read->connection, out)) return of_others("Close", read->connection);
      return nullptr;
    case command_type::ping: out.tell(from, command::ping()); return nullptr;
    case command_type::accept:
    case command_type::connect:
    case command_type::refuse: break;
  }
  return error(errc::protocol, std::string(to_string(read->type)) + ", which only a gateway sends");
}

void virtual_connections::dial(gateway_member& from, std::uint32_t remote, gateway_commands& out) {
  if (shared_ != nullptr) return dial_shared(from, remote, out);
  if (stopping_) return refuse(from, remote, counts_.refused_stopping, out);
  const auto& peers = by_id(other(from.role_));
  const auto found = peers.find(remote);
  if (found == peers.end() || from.state_ != gateway_member::state::present)
    return refuse(from, remote, counts_.refused_unknown, out);
  if (is_above(from) || by_number_.size() >= limits_.max_connections || !out.takes_dial(*found->second))
    return refuse(from, remote, counts_.refused_limit, out);
  const auto number = numbers_.next([this](std::uint32_t one) { return by_number_.contains(one); });
  open(from, *found->second, number, remote, out);
}

void virtual_connections::dial_shared(gateway_member& from, std::uint32_t remote, gateway_commands& out) {
  if (from.state_ != gateway_member::state::present) return refuse(from, remote, counts_.refused_unknown, out);
  if (is_above(from)) return refuse(from, remote, counts_.refused_limit, out);
  const auto found = shared_->dial(other(from.role_), remote);
  switch (found.what) {
    case gateway_directory::answer::found: break;
    case gateway_directory::answer::unknown: return refuse(from, remote, counts_.refused_unknown, out);
    case gateway_directory::answer::limit: return refuse(from, remote, counts_.refused_limit, out);
    case gateway_directory::answer::stopping: return refuse(from, remote, counts_.refused_stopping, out);
  }
  if (found.to->is_remote_ || out.takes_dial(*found.to)) return open(from, *found.to, found.number, remote, out);
  shared_->release(found.number);
  refuse(from, remote, counts_.refused_limit, out);
}

void virtual_connections::refuse(gateway_member& from, std::uint32_t remote, std::uint64_t& counted,
                                 gateway_commands& out) {
  ++counted;
  out.tell(from, command::refuse(remote));
}

void virtual_connections::open(gateway_member& from, gateway_member& to, std::uint32_t number, std::uint32_t remote,
                               gateway_commands& out) {
  add(number, from, to, true);
  ++counts_.dialled;
  const auto accept = command::accept(number, remote);
  const auto tell_other = [&] {
    if (to.is_remote_) return out.dial_through(to, number, from.id_, remote);
    out.tell(to, command::connect(number, from.id_));
  };
  // The client is told first, so that whatever the server then sends finds it ready; also where it is in another
  // table, for what the server sends comes there behind this.
  if (from.role_ == gateway_role::client) {
    out.tell(from, accept);
    tell_other();
  } else {
    tell_other();
    out.tell(from, accept);
  }
}

void virtual_connections::connect(gateway_member& through, std::uint32_t number, std::uint32_t from,
                                  std::uint32_t remote, gateway_commands& out) {
  const auto& mine = by_id(other(through.role_));
  const auto found = mine.find(remote);
  if (found == mine.end() || !out.takes_dial(*found->second)) {  // it left meanwhile, or has no room
    if (found != mine.end()) ++counts_.refused_limit;
    closing_.insert(number);
    return out.tell(through, command::close(number));
  }
  add(number, through, *found->second, false);
  out.tell(*found->second, command::connect(number, from));
}

void virtual_connections::close_half(gateway_member& through, std::uint32_t number, gateway_commands& out) {
  if (closing_.erase(number) != 0) return shared_->release(number);
  auto* const who = other_end(through, number);
  if (who == nullptr) return;
  end_slot(by_number_.find(number)->second);
  shared_->release(number);
  out.tell(*who, command::close(number));
  out.tell(through, command::close(number));
}

gateway_member* virtual_connections::other_end(const gateway_member& through, std::uint32_t number) const noexcept {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return nullptr;
  const auto& ends = slots_[found->second].ends;
  const auto own = index_of(through.role_);
  return ends[own].who == &through ? ends[1 - own].who : nullptr;
}

bool virtual_connections::close(gateway_member& from, std::uint32_t number, gateway_commands& out) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return !is_of_others(number);  // both ends closed it at once
  const auto ends = slots_[found->second].ends;
  const auto own = index_of(from.role_);
  if (ends[own].who != &from) return false;
  end(found->second);
  out.tell(from, command::close(number));
  out.tell(*ends[1 - own].who, command::close(number));
  return true;
}

void virtual_connections::close_all(gateway_commands& out) {
  for (std::uint32_t at = 0; at < slots_.size(); ++at) {
    const auto was = slots_[at];
    if (was.ends[0].who == nullptr) continue;
    end(at);
    for (const auto& one : was.ends) out.tell(*one.who, command::close(was.number));
  }
}

std::uint32_t virtual_connections::take_slot() {
  if (free_ == k_none) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const auto at = free_;
  free_ = slots_[at].ends[0].next;
  return at;
}

void virtual_connections::add(std::uint32_t number, gateway_member& one, gateway_member& other, bool dialled_here) {
  const auto at = take_slot();
  by_number_.emplace(number, at);
  slots_[at].number = number;
  slots_[at].dialled_here = dialled_here;
  if (dialled_here) ++dialled_here_;
  link(at, one.role_, one);
  link(at, other.role_, other);
}

void virtual_connections::end(std::uint32_t at) {
  const auto was = slots_[at];
  end_slot(at);
  if (shared_ == nullptr) return numbers_.given_back(was.number);
  if (was.ends[0].who->is_remote_ || was.ends[1].who->is_remote_)
    closing_.insert(was.number);
  else
    shared_->release(was.number);
}

void virtual_connections::end_slot(std::uint32_t at) noexcept {
  by_number_.erase(slots_[at].number);
  if (slots_[at].dialled_here) {
    --dialled_here_;
    ++counts_.closed;
  }
  unlink(at, gateway_role::client);
  unlink(at, gateway_role::server);
  slots_[at].ends[0].next = free_;
  free_ = at;
}

void virtual_connections::link(std::uint32_t at, gateway_role side, gateway_member& who) noexcept {
  const auto i = index_of(side);
  slots_[at].ends[i] = {&who, who.first_, k_none};
  if (who.first_ != k_none) slots_[who.first_].ends[i].previous = at;
  who.first_ = at;
  ++who.connections_;
}

void virtual_connections::unlink(std::uint32_t at, gateway_role side) noexcept {
  const auto i = index_of(side);
  auto& here = slots_[at].ends[i];
  if (here.next != k_none) slots_[here.next].ends[i].previous = here.previous;
  if (here.previous != k_none)
    slots_[here.previous].ends[i].next = here.next;
  else
    here.who->first_ = here.next;
  --here.who->connections_;
  here = {};
}

}  // namespace ferry::session
