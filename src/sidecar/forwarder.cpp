#include "sidecar/forwarder.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "os/barrier.hpp"
#include "os/random.hpp"
#include "sidecar/forwarder_lanes.hpp"

namespace ferry::sidecar {
namespace {

using session::service_address;
using session::service_routes;
using session::unroutable;

constexpr int k_most_faults = 3;
constexpr std::string_view k_pipe_note = "ShmPipeIdx";  // behind the number of an entity: which of its instances
constexpr auto k_lock_is_asked_every = std::chrono::milliseconds(20);

}  // namespace

forwarder::forwarder(const service_routes& routes, const settings& with, forwarder_events& events)
    : routes_(routes), with_(with), events_(events), chance_(os::random_u64()), ways_(k_ways) {}
forwarder::~forwarder() = default;

forwarder::lane& forwarder::lane_at(service_address where) const noexcept {
  return places_[where.slot]->lanes[where.pipe];
}
pipe& forwarder::at(service_address where) noexcept { return *lane_at(where).files; }
const pipe& forwarder::at(service_address where) const noexcept { return *lane_at(where).files; }

void forwarder::add(std::uint32_t slot, std::vector<std::unique_ptr<pipe>> pipes) {
  forget_ways();
  if (slot >= places_.size()) places_.resize(slot + 1);
  places_[slot] = std::make_unique<place>();
  auto& lanes = places_[slot]->lanes;
  lanes.resize(pipes.size());
  for (std::uint32_t i = 0; i < pipes.size(); ++i) {
    lanes[i].where = {slot, i};
    lanes[i].files = std::move(pipes[i]);
  }
}

void forwarder::remove(std::uint32_t slot) noexcept {
  forget_ways();
  std::erase_if(active_, [&](const lane* one) { return one->where.slot == slot; });
  places_[slot] = nullptr;
}

// From now on it is looked at in every turn.
void forwarder::look_at(lane& which) {
  which.quiet_since = {};
  if (std::find(active_.begin(), active_.end(), &which) == active_.end()) active_.push_back(&which);
}

void forwarder::begin(service_address where, std::uint32_t rings) {
  forget_ways();
  auto& one = lane_at(where);
  places_[where.slot]->given_up = false;
  one.is_full = false;
  // What waits at the front waits on, and who has it already has it; unless its ring was made anew.
  one.files->begin(rings);
  if (!one.files->trouble().empty()) one.forget();
  one.files->enter(pipe::state::read);
  while (bring_left(one) == outcome::busy) {
  }
  look_at(one);
}

// What an earlier instance has left natively goes into the compatible ring, before anything newer does.
forwarder::outcome forwarder::bring_left(lane& to) {
  auto* const left = to.files->left();
  if (left == nullptr || to.files->where() != pipe::state::read) return outcome::idle;
  for (int i = 0; i < k_messages_a_turn; ++i) {
    const auto front = left->front(0);
    if (front && *front) {
      if (!bring(to, *front)) return outcome::held;
      left->pop();
      continue;
    }
    if (!front) events_.dropped(to.where, front.error().text());
    if (front || left->corrupt()) {
      to.files->forget_left();
      break;
    }
  }
  return outcome::busy;
}

// False: no room.
bool forwarder::bring(lane& to, const ring_message& what) {
  auto formed = [&]() -> result<formed_message> {
    if (auto taken = reader_.take(what, &to.files->bodies_left()); !taken) return taken.error();
    const auto route = reader_.route();
    if (!route) return route.error();
    const auto& package = reader_.package();
    if (!package) return package.error();
    return former_.form(to.files->writes(), *route, *package, reader_.body(), what.time_ms);
  }();
  if (!formed) {
    events_.dropped(to.where, formed.error().text());
    return true;
  }
  auto& out = to.files->to_service();
  const auto is_written = [&] { return out.write(formed->parts(), formed->head_bytes, what.time_ms); };
  if (is_written()) return true;
  if (out.unread_bytes() != 0 || out.corrupt()) return false;
  if (!is_written()) ++to.files->counts.full;  // it will never have room
  return true;
}

void forwarder::drain(service_address where) {
  auto& one = lane_at(where);
  if (one.files->where() != pipe::state::read) return;
  forget_ways();
  one.files->enter(pipe::state::draining);
  look_at(one);
}

void forwarder::switched(service_address where) noexcept { lane_at(where).files->switched(); }

void forwarder::wake(service_address where) noexcept {
  auto& one = lane_at(where);
  if (one.files->where() != pipe::state::read) return;
  one.files->from_service().awake();
  look_at(one);
}

void forwarder::wake_all() noexcept {
  for (const auto& of : places_) {
    if (!of) continue;
    for (auto& one : of->lanes)
      if (one.files->where() == pipe::state::read) look_at(one);
  }
}

// Those where nothing was for a while sleep until their bells are rung; one barrier orders all of them.
void forwarder::rest(time_point now) {
  tired_.clear();
  for (auto* one : active_) {
    const bool is_quiet = one->quiet_since != time_point{} && now - one->quiet_since >= with_.spin;
    if (is_quiet && one->files->where() == pipe::state::read && one->files->reads_native()) tired_.push_back(one);
  }
  if (tired_.empty()) return;
  bool barrier = false;
  for (auto* one : tired_) barrier |= one->files->from_service().announce_sleep();
  if (barrier) os::barrier_everywhere();
  for (auto* one : tired_) {
    auto& in = one->files->from_service();
    if (in.something())
      in.awake();
    else
      std::erase(active_, one);
  }
}

void forwarder::stop_reading(lane& which) noexcept {
  std::erase(active_, &which);
  which.forget();
}

void forwarder::damage(lane& which, const std::string& why) {
  if (which.files->where() == pipe::state::damaged) return;
  forget_ways();
  stop_reading(which);
  which.files->set_damage(why);
  which.files->enter(pipe::state::damaged);
  events_.damaged(which.where);
}

// SplitMix64.
std::uint64_t forwarder::next_chance() noexcept {
  std::uint64_t x = chance_ += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

bool forwarder::something() const noexcept {
  return std::any_of(active_.begin(), active_.end(),
                     [](const lane* one) { return one->files->from_service().something(); });
}

forwarder::outcome forwarder::turn(time_point now, std::uint64_t now_ms) {
  auto made = outcome::idle;
  round_ = active_;  // of whom some may go meanwhile
  first_ = round_.empty() ? 0 : (first_ + 1) % round_.size();
  for (std::size_t i = 0; i < round_.size(); ++i) {
    auto& from = *round_[(first_ + i) % round_.size()];
    if (from.files->torn()) {
      damage(from, "a file was cut off");
      continue;
    }
    if (from.files->where() == pipe::state::damaged) continue;
    const auto brought = bring_left(from);
    const auto found = std::max(brought, turn_of(from, now, now_ms));
    if (found != outcome::idle)
      from.quiet_since = {};
    else if (from.quiet_since == time_point{})
      from.quiet_since = now;
    made = std::max(made, found);
  }
  rest(now);
  return made;
}

forwarder::outcome forwarder::turn_of(lane& from, time_point now, std::uint64_t now_ms) {
  auto& counts = from.files->counts;
  for (int i = 0; i < k_messages_a_turn && from.files->where() != pipe::state::damaged; ++i) {
    i += pass_on(from, k_messages_a_turn - i, now_ms);
    if (i == k_messages_a_turn) break;
    auto& in = from.files->from_service();
    const auto front = in.front(now_ms);
    if (!front) {
      ++counts.malformed;
      events_.dropped(from.where, front.error().text());
      from.forget();
      // What was unread is dropped, once; if it is wrong again at once, its positions are.
      if (++from.faults == k_most_faults) damage(from, front.error().text());
      continue;
    }
    from.faults = 0;
    if (!*front) {
      if (from.files->go_on_to_next()) continue;
      if (from.files->where() == pipe::state::draining) {
        stop_reading(from);
        from.files->enter(pipe::state::idle);
        events_.drained(from.where);
      }
      return i == 0 ? outcome::idle : outcome::busy;
    }
    if (!forward(from, *front, now)) return i == 0 ? outcome::held : outcome::busy;
    ++counts.received;
    counts.received_bytes += front->whole.size();
    from.forget();
    in.pop();
  }
  return outcome::busy;
}

// False: it waits.
bool forwarder::forward(lane& from, const ring_message& what, time_point now) {
  if (from.waiting != what.whole.data()) from.forget();
  if (const auto good = understand(from, what); !good) {
    ++from.files->counts.malformed;
    events_.dropped(from.where, good.error().text());
    return true;
  }
  to_.clear();
  not_to_.clear();
  later_.clear();
  resolve(from, now);
  if (deliver(from, what, now)) return true;
  hold(from, what, now);
  return false;
}

result<void> forwarder::understand(const lane& from, const ring_message& what) {
  translated_.reset();
  if (auto taken = reader_.take(what); !taken) return taken;
  const auto said = reader_.route();
  if (!said) return said.error();
  route_ = *said;
  const auto own = routes_.entity(from.where.slot).entity;
  // What one instance hands on to the other one of its entity still says who asked.
  const bool is_handed_on = std::holds_alternative<to_other_instance>(route_.to) && !from.in_part;
  if (with_.check_source && route_.from != own && !is_handed_on)
    return error(errc::auth, "a message of entity " + std::to_string(own) + " says that it comes from entity " +
                                 std::to_string(route_.from));
  return {};
}

// Somebody lives who holds that pipe, and has not registered yet.
bool forwarder::is_expected(lane& there, time_point now) {
  const auto is = there.files->where();
  if (is == pipe::state::read || is == pipe::state::damaged) return false;
  if (now - there.asked < k_lock_is_asked_every) return there.is_held;
  there.asked = now;
  return there.is_held = there.files->is_held();
}

// An instance of that entity will register soon, and not on the pipe of whoever asks.
bool forwarder::is_expected(std::uint32_t slot, const lane& asks, time_point now) {
  auto& of = *places_[slot];
  return !of.given_up && std::any_of(of.lanes.begin(), of.lanes.end(),
                                     [&](lane& one) { return &one != &asks && is_expected(one, now); });
}

bool forwarder::has_waited(const lane& from, time_point now) const noexcept {
  return from.waiting != nullptr && now - from.since >= with_.hold;
}

// Whom it is for: who has got it is asked for no more; who is not there yet, but will be, gets it later.
void forwarder::resolve(lane& from, time_point now) {
  if (from.in_part) {
    resolve_rest(from);
  } else if (const auto* other = std::get_if<to_other_instance>(&route_.to)) {
    routes_.hand_on(from.where, *other, wanted_pipe(from), to_, not_to_);
  } else {
    routes_.route(from.where, route_, next_chance(), to_, not_to_);
    if (const auto* all = std::get_if<to_all>(&route_.to)) await_rest_of(*all, from, now);
  }
  std::erase_if(not_to_, [&](const session::undelivered& one) { return is_put_off(from, one, now); });
}

// Those are asked for by entity: the main instance may be another one by now, and a slot another entity's.
void forwarder::resolve_rest(lane& from) {
  const auto* all = std::get_if<to_all>(&route_.to);
  service_route one;
  one.to_set_version = route_.to_set_version;
  for (const auto entity : std::exchange(from.rest, {})) {
    const auto before = to_.size();
    one.to = to_entity{entity};
    routes_.route(from.where, one, 0, to_, not_to_);
    // Who has registered meanwhile may be in another zone.
    const bool is_meant =
        to_.size() == before || all == nullptr || all->zone == 0 || routes_.instance(to_.back())->zone == all->zone;
    if (!is_meant) to_.pop_back();
  }
}

// The pipe of the instance that it is for; a number that nobody can have if it says something else.
std::optional<std::uint32_t> forwarder::wanted_pipe(const lane& from) {
  const auto& package = reader_.package();
  if (!package) return std::nullopt;
  std::array<char, 32> name;
  auto* const end = std::to_chars(name.begin(), name.end(), routes_.entity(from.where.slot).entity).ptr;
  const auto* const all = std::copy(k_pipe_note.begin(), k_pipe_note.end(), end);
  const auto said = package->note({name.data(), static_cast<std::size_t>(all - name.data())});
  if (!said) return std::nullopt;
  std::uint32_t made = 0;
  const auto read = std::from_chars(said->data(), said->data() + said->size(), made);
  const bool is_number = read.ec == std::errc() && read.ptr == said->data() + said->size();
  return is_number ? made : service_routes::k_most_pipes;
}

// Those of a service that nobody has asked for, as they are not there.
void forwarder::await_rest_of(const to_all& whom, const lane& from, time_point now) {
  for (const auto slot : routes_.entities_of(whom.service))
    if (slot != from.where.slot && routes_.main_pipe(slot) == service_routes::k_most_pipes &&
        is_expected(slot, from, now))
      not_to_.push_back({unroutable::absent, routes_.entity(slot).entity});
  const auto is_nobody = [](const auto& one) { return one.why == unroutable::nobody_suitable; };
  if (not_to_.size() > 1) std::erase_if(not_to_, is_nobody);
}

// Whether it is not there yet, but will be, and can be waited for.
bool forwarder::is_put_off(const lane& from, const session::undelivered& one, time_point now) {
  const auto put_off_for = [&](std::uint32_t slot) {
    if (slot == service_routes::k_most_entities || !is_expected(slot, from, now)) return false;
    if (has_waited(from, now)) {
      places_[slot]->given_up = true;
      return false;
    }
    later_.push_back(routes_.entity(slot).entity);
    return true;
  };
  switch (one.why) {
    case unroutable::absent: return put_off_for(routes_.find(one.whom));
    case unroutable::no_other: return put_off_for(from.where.slot);
    case unroutable::nobody_suitable: {
      const auto all = routes_.entities_of(one.whom);
      return std::any_of(all.begin(), all.end(), [&](std::uint32_t slot) {
        return routes_.main_pipe(slot) == service_routes::k_most_pipes && put_off_for(slot);
      });
    }
    case unroutable::no_destination:
    case unroutable::unknown_entity:
    case unroutable::other_version:
    case unroutable::unknown_service:
    case unroutable::wrong_pipe:
    case unroutable::too_many: return false;
  }
  __builtin_unreachable();  // all values are there
}

// As it is, or with the heads of the other kind.
result<formed_message> forwarder::formed_for(service_rings kind, const ring_message& what) {
  if (kind == what.kind) return reader_.as_it_is();
  if (translated_) return *translated_;
  const auto& package = reader_.package();
  if (!package) return package.error();
  auto made = former_.form(kind, route_, *package, reader_.body(), what.time_ms);
  if (made) translated_ = *made;
  return made;
}

// False: no room.
bool forwarder::write_to(lane& from, service_address to, const ring_message& what) {
  auto& there = lane_at(to);
  if (there.files->left() != nullptr) return false;
  const auto formed = formed_for(there.files->writes(), what);
  if (!formed) {
    ++from.files->counts.malformed;
    events_.dropped(from.where, formed.error().text());
    return true;
  }
  if (!write_reference(there, *formed) &&
      !there.files->to_service().write(formed->parts(), formed->head_bytes, what.time_ms))
    return false;
  there.is_full = false;
  ++there.files->counts.delivered;
  there.files->counts.delivered_bytes += what.whole.size();
  ++counts_.forwarded;
  return true;
}

// False: some have no room, or are not there yet, and are waited for.
bool forwarder::deliver(lane& from, const ring_message& what, time_point now) {
  // One alone finds its way anew when it comes again.
  const bool is_for_several = from.in_part || to_.size() + not_to_.size() + later_.size() > 1;
  announce_body();
  for (const auto& to : to_) {
    if (write_to(from, to, what)) continue;
    auto& there = lane_at(to);
    auto& out = there.files->to_service();
    if (out.corrupt()) {
      not_to_.push_back({unroutable::absent, routes_.entity(to.slot).entity});
      damage(there, "the position of its reader cannot be");
      continue;
    }
    // What has no room where nothing is will never have it.
    if (out.unread_bytes() == 0 && there.files->left() == nullptr) {
      if (!write_to(from, to, what)) ++there.files->counts.full;
      continue;
    }
    if (with_.when_full == full_ring::drop || there.is_full || has_waited(from, now)) {
      there.is_full = true;
      ++there.files->counts.full;
      continue;
    }
    later_.push_back(routes_.entity(to.slot).entity);
  }
  report_undelivered(from, what);
  from.in_part = is_for_several;
  if (is_for_several) from.rest = later_;
  return later_.empty();
}

void forwarder::hold(lane& from, const ring_message& what, time_point now) {
  if (from.waiting != nullptr) return;
  from.waiting = what.whole.data();
  from.since = now;
  ++from.files->counts.held;
}

void forwarder::report_undelivered(lane& from, const ring_message& what) {
  bool has_room = true;  // where one found none the others of this message do not try
  for (const auto& one : not_to_) {
    ++counts_.undeliverable[static_cast<std::size_t>(one.why)];
    if (with_.return_undeliverable) has_room = give_back(from, what, one, has_room);
  }
}

// To the instance that sent it, as an answer without a body. False: no room.
bool forwarder::give_back(lane& to, const ring_message& what, const session::undelivered& why, bool has_room) {
  const auto& said = reader_.package();
  if (!said || said->return_code != 0) return has_room;  // what came back itself does not come back again
  if (!has_room) {
    ++counts_.not_returned;
    return false;
  }
  auto package = *said;
  package.return_code = with_.undeliverable_code;
  service_route back;
  back.from = why.whom;
  back.message_id = route_.message_id;
  back.to = to_entity{route_.from};
  back.to_set_version = route_.from_set_version;
  const auto made = former_.form(to.files->writes(), back, package, {}, what.time_ms);
  if (!made || !to.files->to_service().write(made->parts(), made->head_bytes, what.time_ms)) {
    ++counts_.not_returned;
    return false;
  }
  ++counts_.returned;
  return true;
}

}  // namespace ferry::sidecar
