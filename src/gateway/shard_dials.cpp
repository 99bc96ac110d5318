// Dials that wait: a flood of them must not fill the queue of a server that is slow. A server's own dials wait for
// threads only, as its packets do, for one client that does not read would keep its others waiting: they are refused.
#include <algorithm>

#include "gateway/shard.hpp"

namespace ferry::gateway {

using session::gateway_role;

bool shard::must_wait(member& from, bytes command) {
  const auto said = codec::gateway::decode_command(command);
  if (!said || said->type != codec::gateway::command_type::dial || stop_at_) return false;
  const auto role = from.role() == gateway_role::client ? gateway_role::server : gateway_role::client;
  const auto to =
      is_alone() ? commons::place{index_, table_.find(role, said->remote)} : shared_->find(role, said->remote);
  if (to.who == nullptr) return false;  // which is answered at once
  if (to.thread != index_) return must_wait_over(*neighbours_[to.thread], from, said->remote);
  if (role == gateway_role::client) return false;
  auto& who = static_cast<member&>(*to.who);
  if (takes_dials(who)) return false;
  ++counts_.held_back;
  wait_in(who.held_back, from);
  return true;
}

bool shard::must_wait_over(neighbour& over, member& from, std::uint32_t id) {
  if (waits_for_thread(over, from)) return true;
  if (from.role() == gateway_role::server) return false;
  const auto found = over.full.find(id);
  if (found == over.full.end()) return false;
  ++counts_.held_back;
  wait_in(found->second, from);
  return true;
}

bool shard::takes_dials(member& who) {
  if (!who.has_room()) who.flush();
  return who.has_room() || who.is_doomed();
}

// Whoever dials a server has waited for it, or for its thread.
bool shard::takes_dial(session::gateway_member& to) {
  return to.role() == gateway_role::server || takes_dials(static_cast<member&>(to));
}

// Each time, not once: whoever is told may have heard of another server with that ID meanwhile.
void shard::say_if_full(remote_members& dialling, std::uint32_t server) {
  auto* const who = static_cast<member*>(table_.find(gateway_role::server, server));
  if (who == nullptr || takes_dials(*who)) return;
  note(dialling, {.what = batch::kind::full, .remote = server});
  const std::pair<session::gateway_member*, std::uint32_t> waiting(&dialling, 0);
  if (std::find(who->held_far.begin(), who->held_far.end(), waiting) == who->held_far.end())
    who->held_far.push_back(waiting);
}

void shard::dials_go_on(std::uint32_t server) {
  for (const auto& over : neighbours_)
    if (over)
      if (auto waiting = over->full.extract(server)) all_go_on(waiting.mapped());
  if (auto* const who = table_.find(gateway_role::server, server)) all_go_on(static_cast<member*>(who)->held_back);
}

// A new server has that ID: nobody waits for the one that had it.
void shard::dials_go_to_another(member* before, std::uint32_t server) {
  for (const auto& over : neighbours_)
    if (over) note(over->clients, {.what = batch::kind::has_room, .remote = server});
  if (before == nullptr) return;
  for (member* const one : std::exchange(before->held_back, {})) {
    one->waits_in = nullptr;
    to_go_on_.push_back(one);  // not now: the new one is still logging in
  }
  run_later();
}

}  // namespace ferry::gateway
