#include "session/service_registry.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace ferry::session {
namespace {

using codec::sidecar::control_id;
using state = service_link::state;

constexpr std::int32_t k_changed = 0;
constexpr std::int32_t k_nobody_there = 1;

error breach(const std::string& what) { return {errc::protocol, what}; }

// Digits alone, below 2^32.
std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t made = 0;
  const auto* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, made);
  if (text.empty() || read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return made;
}

constexpr std::string_view k_zone_tag = "area";

instance_health health_of(codec::sidecar::service_health said) noexcept {
  switch (said) {
    case codec::sidecar::service_health::healthy: return instance_health::healthy;
    case codec::sidecar::service_health::graceful_exit: return instance_health::graceful_exit;
    case codec::sidecar::service_health::fast_exit: return instance_health::fast_exit;
  }
  return instance_health::unhealthy;
}

}  // namespace

result<std::uint32_t> service_registry::add_entity(const service_entity& what) {
  auto slot = routes_.add(what);
  if (!slot) return slot;
  if (*slot >= places_.size()) places_.resize(*slot + 1);
  places_[*slot] = {};
  return slot;
}

void service_registry::remove_entity(std::uint32_t slot, service_commands& out) {
  const auto links = places_[slot].links;
  for (auto* one : links) {
    remove(*one, out);
    out.end(*one, error(errc::closed, "this entity is not in the configuration any more"));
  }
  routes_.remove(slot);
}

result<void> service_registry::add(service_link& who, std::uint32_t slot, std::int64_t process, time_point now) {
  auto& links = places_[slot].links;
  if (links.size() >= limits_.links_per_entity)
    return error(errc::busy, "entity " + std::to_string(routes_.entity(slot).entity) + " has " +
                                 std::to_string(links.size()) + " control connections, the limit");
  links.push_back(&who);
  who.state_ = state::arriving;
  who.at_ = {slot, service_routes::k_most_pipes};
  who.process_ = process;
  who.heard_ = now;
  who.notices_ = {};
  return {};
}

service_link* service_registry::find(service_address at) const noexcept {
  for (auto* one : places_[at.slot].links)
    if (one->state_ == state::registered && one->at_.pipe == at.pipe) return one;
  return nullptr;
}

const service_link* service_registry::on_pipe(service_address at) const noexcept { return find(at); }

// Of its pipe, if it has one.
void service_registry::detach(service_link& who, state then, service_commands& out) {
  const bool was_there = who.state_ == state::registered;
  who.state_ = then;
  if (!was_there) return;
  auto& of = places_[who.at_.slot];
  if (of.leaving == &who || of.coming == &who) {
    of.leaving = of.coming = nullptr;
    of.step = migration::steady;
  }
  const bool is_another_main = routes_.leave(who.at_);
  out.detached(who.at_);
  if (is_another_main) tell_main(who.at_.slot, out);
}

// Who asked for that is told that it is the main one now.
void service_registry::tell_main(std::uint32_t slot, service_commands& out) {
  auto* main = find({slot, routes_.main_pipe(slot)});
  if (main != nullptr && main->wants_main_) out.tell(*main, answer_to(*main));
}

void service_registry::remove(service_link& who, service_commands& out) {
  if (who.state_ == state::over) return;
  if (who.state_ == state::registered) ++counts_.lost;
  detach(who, state::over, out);
  std::erase(places_[who.at_.slot].links, &who);
}

result<void> service_registry::on_notice(service_link& who, const codec::sidecar::notice& what, time_point now,
                                         service_commands& out) {
  auto judged = [&]() -> result<void> {
    if (who.notices_.is_above(limits_.notices_per_second, now))
      return breach("more than " + std::to_string(limits_.notices_per_second) + " control messages in a second");
    if (const auto* asked = std::get_if<codec::sidecar::registration>(&what)) return on(who, *asked, now, out);
    if (std::holds_alternative<codec::sidecar::other_notice>(what)) return {};
    if (who.state_ == state::left) return {};
    if (who.state_ != state::registered) return breach("a control message before RegisterRequest");
    who.heard_ = now;
    if (const auto* beat = std::get_if<codec::sidecar::heartbeat>(&what)) return on(who, *beat, out);
    if (const auto* bye = std::get_if<codec::sidecar::unregistration>(&what)) return on(who, *bye, out);
    if (const auto* load = std::get_if<codec::sidecar::load_report>(&what)) return on(who, *load);
    if (const auto* asked = std::get_if<codec::sidecar::change_pipe>(&what)) return on(who, *asked, out);
    if (const auto* step = std::get_if<codec::sidecar::migration_step>(&what)) return on(who, *step, out);
    return breach("an answer that only a sidecar gives");
  }();
  if (!judged) ++counts_.breaches;
  return judged;
}

registration_refusal service_registry::judge(const service_link& who, const codec::sidecar::registration& what,
                                             service_instance& made, std::string& why, service_commands& out) const {
  const auto& of = routes_.entity(who.at_.slot);
  if (number_of(what.service) != of.service || number_of(what.entity) != of.entity) {
    why = "this is the directory of service " + std::to_string(of.service) + ", entity " + std::to_string(of.entity);
    return registration_refusal::other_service;
  }
  if (what.pipe < 0 || static_cast<std::uint32_t>(what.pipe) >= of.pipes) {
    why = "pipe " + std::to_string(what.pipe) + ": there are " + std::to_string(of.pipes) + ", from 0";
    return registration_refusal::no_such_pipe;
  }
  const service_address at{who.at_.slot, static_cast<std::uint32_t>(what.pipe)};
  if (const auto* other = find(at); other != nullptr && other != &who && other->process_ != who.process_) {
    why = "pipe " + std::to_string(what.pipe) + " is that of process " + std::to_string(other->process_);
    return registration_refusal::pipe_taken;
  }
  if (why = out.unusable(at, who.process_); !why.empty()) return registration_refusal::pipe_unusable;
  for (const std::string_view tag : what.tags) {
    if (!tag.starts_with(k_zone_tag)) continue;
    const auto zone = number_of(tag.substr(k_zone_tag.size()));
    if (!zone) {
      why = "a tag that begins with 'area' must go on with a number below 4294967296";
      return registration_refusal::bad_tag;
    }
    made.zone = *zone;
  }
  made.set_version = what.set_version;
  made.weight = {what.static_weight, what.dynamic_weight};
  made.health = what.healthy ? instance_health::healthy : instance_health::unhealthy;
  made.stands_by = what.wants_main || what.wants_backup;
  return registration_refusal::none;
}

result<void> service_registry::on(service_link& who, const codec::sidecar::registration& what, time_point now,
                                  service_commands& out) {
  if (who.state_ == state::left) return breach("RegisterRequest after UnRegister");
  if (who.state_ == state::registered && static_cast<std::uint32_t>(what.pipe) != who.at_.pipe)
    return breach("RegisterRequest for pipe " + std::to_string(what.pipe) + ", and it has pipe " +
                  std::to_string(who.at_.pipe));
  who.heard_ = now;
  if (places_[who.at_.slot].registrations.is_above(limits_.registrations_per_second, now)) {
    refuse(who, registration_refusal::too_many,
           "more than " + std::to_string(limits_.registrations_per_second) +
               " registrations of this entity in a second; try again later",
           out);
    return {};
  }
  service_instance made;
  std::string why;
  const auto refused = judge(who, what, made, why, out);
  if (refused != registration_refusal::none)
    refuse(who, refused, std::move(why), out);
  else
    enter(who, what, made, out);
  return {};
}

void service_registry::refuse(service_link& who, registration_refusal why, std::string reason, service_commands& out) {
  ++counts_.refused;
  codec::sidecar::registration_answer no;
  no.code = static_cast<std::int32_t>(why);
  no.reason = std::move(reason);
  out.tell(who, no);
}

bool counted_second::is_above(std::uint32_t limit, time_point now) noexcept {
  if (now - begin_ >= std::chrono::seconds(1)) {
    begin_ = now;
    count_ = 0;
  }
  return ++count_ > limit;
}

void service_registry::enter(service_link& who, const codec::sidecar::registration& what, const service_instance& made,
                             service_commands& out) {
  const service_address at{who.at_.slot, static_cast<std::uint32_t>(what.pipe)};
  // The same process comes again before the end of its other connection was noticed.
  if (auto* before = find(at); before != nullptr && before != &who) {
    remove(*before, out);
    out.end(*before, error(errc::closed, "its process has registered over another connection"));
  }
  const bool is_new = who.state_ != state::registered;
  who.state_ = state::registered;
  who.at_ = at;
  who.stateful_ = what.stateful;
  who.wants_main_ = made.stands_by;
  who.unique_id_ = what.unique_id;
  who.version_ = what.version;
  routes_.join(at, made);
  ++counts_.registered;
  if (is_new) out.attached(at);
  out.tell(who, answer_to(who));
}

codec::sidecar::registration_answer service_registry::answer_to(const service_link& who) const {
  codec::sidecar::registration_answer made;
  made.is_main = routes_.is_main(who.at_) ? 1 : 0;
  made.must_migrate = who.stateful_ && made.is_main == 0 ? 1 : 0;
  made.version = who.version_;
  return made;
}

result<void> service_registry::on(service_link& who, const codec::sidecar::heartbeat& what, service_commands& out) {
  if (what.pipe < 0 || static_cast<std::uint32_t>(what.pipe) != who.at_.pipe || what.unique_id != who.unique_id_)
    return breach("HeartBeat of pipe " + std::to_string(what.pipe) + " and number " + std::to_string(what.unique_id) +
                  ", and it registered pipe " + std::to_string(who.at_.pipe) + " and number " +
                  std::to_string(who.unique_id_));
  const auto health = health_of(what.state);
  const bool was_main = routes_.is_main(who.at_);
  routes_.set_health(who.at_, health);
  if (!was_main && routes_.is_main(who.at_)) tell_main(who.at_.slot, out);
  if (health == instance_health::fast_exit && routes_.is_main(who.at_) && routes_.elect(who.at_.slot))
    tell_main(who.at_.slot, out);
  codec::sidecar::heartbeat back = what;
  back.state = codec::sidecar::service_health::healthy;
  out.tell(who, back);
  return {};
}

result<void> service_registry::on(service_link& who, const codec::sidecar::unregistration& what,
                                  service_commands& out) {
  if (number_of(what.entity) != routes_.entity(who.at_.slot).entity ||
      static_cast<std::uint32_t>(what.pipe) != who.at_.pipe || what.unique_id != who.unique_id_)
    return breach("UnRegister of entity '" + what.entity.substr(0, 32) + "', pipe " + std::to_string(what.pipe) +
                  ", which is not its own");
  ++counts_.unregistered;
  detach(who, state::left, out);
  return {};
}

result<void> service_registry::on(service_link& who, const codec::sidecar::load_report& what) {
  if (number_of(what.entity) != routes_.entity(who.at_.slot).entity)
    return breach("DynamicLoad of entity '" + what.entity.substr(0, 32) + "', which is not its own");
  auto weight = routes_.instance(who.at_)->weight;
  weight.load = what.load;
  weight.capacity = what.capacity;
  routes_.set_weight(who.at_, weight);
  return {};
}

result<void> service_registry::on(service_link& who, const codec::sidecar::change_pipe& what, service_commands& out) {
  auto& of = places_[who.at_.slot];
  const service_address to{who.at_.slot, static_cast<std::uint32_t>(what.pipe)};
  auto* coming = what.pipe < 0 ? nullptr : find(to);
  if (coming == nullptr || routes_.instance(to)->health == instance_health::fast_exit) {
    out.tell(who, codec::sidecar::change_pipe_answer{k_nobody_there});
    return {};
  }
  routes_.lead(to);
  ++counts_.switches;
  out.tell(who, codec::sidecar::change_pipe_answer{k_changed});
  if (of.step != migration::started || of.coming != coming) return {};
  of.step = migration::switched;
  using codec::sidecar::migration_step;
  out.tell(*of.coming, migration_step{control_id::sidecar_migrated});
  out.tell(*of.leaving, migration_step{control_id::sidecar_migrated});
  out.tell(*of.leaving, migration_step{control_id::old_instance_stops});
  return {};
}

result<void> service_registry::on(service_link& who, const codec::sidecar::migration_step& what,
                                  service_commands& out) {
  auto& of = places_[who.at_.slot];
  if (what.id == control_id::start_migration_request) {
    auto* main = find({who.at_.slot, routes_.main_pipe(who.at_.slot)});
    // Whoever is the main one already has nothing to wait for.
    if (of.step == migration::steady && main != nullptr && main != &who) {
      of.step = migration::started;
      of.coming = &who;
      of.leaving = main;
    }
    out.tell(who, codec::sidecar::migration_step{control_id::start_migration_response});
  } else if (what.id == control_id::new_instance_migrated && of.coming == &who) {
    of.coming = of.leaving = nullptr;
    of.step = migration::steady;
  }
  return {};
}

time_point service_registry::tick(time_point now, service_commands& out) {
  auto next = now + k_longest_wait;
  std::vector<service_link*> silent;
  for (const auto& of : places_)
    for (auto* one : of.links) {
      const auto limit = one->state_ == state::registered ? limits_.heartbeat_timeout : limits_.registration_timeout;
      if (now - one->heard_ >= limit)
        silent.push_back(one);
      else
        next = std::min(next, one->heard_ + limit);
    }
  for (auto* one : silent) {
    const char* why = one->state_ == state::registered ? "no heartbeat in time"
                      : one->state_ == state::left     ? "it unregistered and did not close in time"
                                                       : "it did not register in time";
    ++counts_.timed_out;
    remove(*one, out);
    out.end(*one, error(errc::timeout, why));
  }
  return next;
}

}  // namespace ferry::session
