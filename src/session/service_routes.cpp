#include "session/service_routes.hpp"

#include <algorithm>
#include <utility>

namespace ferry::session {
namespace {

constexpr std::uint64_t k_thousandths = 1000;

// A mixer of 64 bits whose every output bit depends on every input bit (the finaliser of MurmurHash3).
constexpr std::uint64_t mixed(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  return x ^ (x >> 33);
}

// What is left of a number that is uniform over 64 bits when it shall be uniform below `end`.
constexpr std::uint64_t below(std::uint64_t random, std::uint64_t end) noexcept {
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<wide>(random) * end) >> 64);
}

}  // namespace

const char* to_string(instance_health what) noexcept {
  switch (what) {
    case instance_health::healthy: return "healthy";
    case instance_health::unhealthy: return "unhealthy";
    case instance_health::graceful_exit: return "graceful exit";
    case instance_health::fast_exit: return "fast exit";
  }
  return "?";
}

const char* to_string(unroutable why) noexcept {
  switch (why) {
    case unroutable::no_destination: return "no destination";
    case unroutable::unknown_entity: return "unknown entity";
    case unroutable::absent: return "absent";
    case unroutable::other_version: return "other set version";
    case unroutable::unknown_service: return "unknown service";
    case unroutable::nobody_suitable: return "nobody suitable";
    case unroutable::no_other: return "no other instance";
    case unroutable::wrong_pipe: return "wrong pipe";
    case unroutable::too_many: return "too many entities";
  }
  return "?";
}

std::uint64_t service_weight::effective() const noexcept {
  const auto base = static_cast<std::uint64_t>(std::max(dynamic > 0 ? dynamic : fixed, 1)) * k_thousandths;
  if (capacity <= 0 || load <= 0) return base;
  if (load >= capacity) return 1;
  __extension__ using wide = unsigned __int128;
  const auto rest = static_cast<wide>(base) * static_cast<std::uint64_t>(capacity - load);
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(rest / static_cast<std::uint64_t>(capacity)), 1);
}

result<std::uint32_t> service_routes::add(const service_entity& what) {
  if (what.pipes < 1 || what.pipes > k_most_pipes)
    return error(errc::bad_option, "entity " + std::to_string(what.entity) + ": " + std::to_string(what.pipes) +
                                       " pipes; there can be 1 to " + std::to_string(k_most_pipes));
  if (by_entity_.contains(what.entity))
    return error(errc::bad_option, "entity " + std::to_string(what.entity) + " is there already; each needs its own");
  if (by_entity_.size() >= k_most_entities)
    return error(errc::busy, "there are " + std::to_string(k_most_entities) + " entities, the limit");
  ++version_;
  auto slot = static_cast<std::uint32_t>(places_.size());
  if (free_.empty()) {
    places_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  auto& made = places_[slot];
  made.what = what;
  made.used = true;
  made.seats.resize(what.pipes);
  by_entity_.emplace(what.entity, slot);
  auto& all = by_service_[what.service];
  const auto behind = std::find_if(all.begin(), all.end(),
                                   [&](std::uint32_t other) { return places_[other].what.entity > what.entity; });
  all.insert(behind, slot);
  return slot;
}

void service_routes::remove(std::uint32_t slot) {
  auto& of = places_[slot];
  if (!of.used) return;
  ++version_;
  by_entity_.erase(of.what.entity);
  const auto all = by_service_.find(of.what.service);
  std::erase(all->second, slot);
  if (all->second.empty()) by_service_.erase(all);
  of = place();
  free_.push_back(slot);
}

namespace {
// Where nobody is the main instance, or who is exits fast, somebody who can be is.
template <class Place>
void succeed(Place& of, std::uint32_t pipe) noexcept {
  const auto exits = [&](std::uint32_t one) { return of.seats[one].what.health == instance_health::fast_exit; };
  if (of.main == service_routes::k_most_pipes || (exits(of.main) && !exits(pipe))) of.main = pipe;
}
}  // namespace

void service_routes::join(service_address at, const service_instance& what) {
  ++version_;
  auto& of = places_[at.slot];
  of.seats[at.pipe] = {what, true};
  succeed(of, at.pipe);
}

std::uint32_t service_routes::next_main(const place& of) noexcept {
  const auto is_before = [](const service_instance& one, const service_instance& other) {
    return one.health != other.health ? one.health < other.health : one.stands_by && !other.stands_by;
  };
  auto best = k_most_pipes;
  for (std::uint32_t pipe = 0; pipe < of.seats.size(); ++pipe)
    if (of.seats[pipe].taken && (best == k_most_pipes || is_before(of.seats[pipe].what, of.seats[best].what)))
      best = pipe;
  return best;
}

bool service_routes::leave(service_address at) {
  ++version_;
  auto& of = places_[at.slot];
  of.seats[at.pipe] = {};
  if (of.main != at.pipe) return false;
  of.main = next_main(of);
  return of.main != k_most_pipes;
}

bool service_routes::elect(std::uint32_t slot) {
  ++version_;
  auto& of = places_[slot];
  return std::exchange(of.main, next_main(of)) != of.main;
}

void service_routes::lead(service_address at) {
  ++version_;
  places_[at.slot].main = at.pipe;
}

void service_routes::set_health(service_address at, instance_health now) {
  ++version_;
  auto& of = places_[at.slot];
  of.seats[at.pipe].what.health = now;
  succeed(of, at.pipe);
}

void service_routes::set_weight(service_address at, const service_weight& now) {
  ++version_;
  places_[at.slot].seats[at.pipe].what.weight = now;
}

const service_instance* service_routes::instance(service_address at) const noexcept {
  const auto& seats = places_[at.slot].seats;
  return at.pipe < seats.size() && seats[at.pipe].taken ? &seats[at.pipe].what : nullptr;
}

std::uint32_t service_routes::find(std::uint32_t entity) const noexcept {
  const auto found = by_entity_.find(entity);
  return found == by_entity_.end() ? k_most_entities : found->second;
}

// Null: there is none that takes messages.
const service_instance* service_routes::main_of(std::uint32_t slot) const noexcept {
  const auto& of = places_[slot];
  if (of.main == k_most_pipes) return nullptr;
  const auto& main = of.seats[of.main].what;
  return main.health == instance_health::fast_exit ? nullptr : &main;
}

bool service_routes::has(const service_instance* one, wish of) noexcept {
  return one != nullptr && (of.zone == 0 || one->zone == of.zone) &&
         (of.set_version == 0 || one->set_version == of.set_version);
}

std::span<const std::uint32_t> service_routes::entities_of(std::uint32_t service) const noexcept {
  const auto* all = of_service(service);
  return all == nullptr ? std::span<const std::uint32_t>() : std::span<const std::uint32_t>(*all);
}

const service_routes::slots* service_routes::of_service(std::uint32_t service) const noexcept {
  const auto found = by_service_.find(service);
  return found == by_service_.end() ? nullptr : &found->second;
}

void service_routes::send_to(std::uint32_t entity, std::uint64_t set_version, outcome out) const {
  const auto slot = find(entity);
  if (slot == k_most_entities) return out.not_to.push_back({unroutable::unknown_entity, entity});
  const auto* main = main_of(slot);
  if (main == nullptr) return out.not_to.push_back({unroutable::absent, entity});
  if (!has(main, {0, set_version})) return out.not_to.push_back({unroutable::other_version, entity});
  out.to.push_back({slot, places_[slot].main});
}

const std::uint32_t* service_routes::weighed(const slots& all, wish of, std::uint64_t random) const noexcept {
  const auto weight = [&](std::uint32_t slot) -> std::uint64_t {
    const auto* one = main_of(slot);
    return has(one, of) && one->health == instance_health::healthy ? one->weight.effective() : 0;
  };
  std::uint64_t sum = 0;
  for (const auto slot : all) sum += weight(slot);
  if (sum == 0) return nullptr;
  auto left = below(random, sum);
  for (const auto& slot : all) {
    const auto share = weight(slot);
    if (left < share) return &slot;
    left -= share;
  }
  return nullptr;
}

// Each entity has a number for each key, and the largest wins: when one leaves, only its keys move.
const std::uint32_t* service_routes::keyed(const slots& all, wish of, std::uint64_t key) const noexcept {
  const std::uint32_t* best = nullptr;
  std::uint64_t most = 0;
  for (const auto& slot : all) {
    const auto* one = main_of(slot);
    if (!has(one, of) || one->health != instance_health::healthy) continue;
    const auto score = mixed(key ^ mixed(places_[slot].what.entity + 1ull));
    if (best != nullptr && score <= most) continue;
    best = &slot;
    most = score;
  }
  return best;
}

void service_routes::send_to(const to_any& where, std::uint64_t set_version, std::uint64_t random, outcome out) const {
  const auto* all = of_service(where.service);
  if (all == nullptr) return out.not_to.push_back({unroutable::unknown_service, where.service});
  const wish of{where.zone, set_version};
  const auto* slot = where.key ? keyed(*all, of, *where.key) : weighed(*all, of, random);
  if (slot == nullptr) return out.not_to.push_back({unroutable::nobody_suitable, where.service});
  out.to.push_back({*slot, places_[*slot].main});
}

void service_routes::send_to(const to_all& where, std::uint64_t set_version, service_address from, outcome out) const {
  const auto* all = of_service(where.service);
  if (all == nullptr) return out.not_to.push_back({unroutable::unknown_service, where.service});
  const auto before = out.to.size();
  for (const auto slot : *all)
    if (slot != from.slot && has(main_of(slot), {where.zone, set_version}))
      out.to.push_back({slot, places_[slot].main});
  if (out.to.size() == before) out.not_to.push_back({unroutable::nobody_suitable, where.service});
}

void service_routes::send_to(const to_entities& where, std::uint64_t set_version, outcome out) const {
  if (where.entities.size() > k_most_targets)
    return out.not_to.push_back({unroutable::too_many, static_cast<std::uint32_t>(where.entities.size())});
  const auto to_before = static_cast<std::ptrdiff_t>(out.to.size());
  const auto not_to_before = static_cast<std::ptrdiff_t>(out.not_to.size());
  for (const auto entity : where.entities) send_to(static_cast<std::uint32_t>(entity), set_version, out);
  // Who is named twice gets it once, or is missed once.
  const auto begin = out.to.begin() + to_before;
  std::sort(begin, out.to.end(), [](const auto& a, const auto& b) { return a.slot < b.slot; });
  out.to.erase(std::unique(begin, out.to.end()), out.to.end());
  const auto missed = out.not_to.begin() + not_to_before;
  std::sort(missed, out.not_to.end(), [](const auto& a, const auto& b) { return a.whom < b.whom; });
  const auto is_same = [](const auto& a, const auto& b) { return a.whom == b.whom; };
  out.not_to.erase(std::unique(missed, out.not_to.end(), is_same), out.not_to.end());
}

void service_routes::hand_on(service_address from, const to_other_instance& where, std::optional<std::uint32_t> wanted,
                             std::vector<service_address>& to, std::vector<undelivered>& not_to) const {
  const auto& of = places_[from.slot];
  if (where.pipe < 0 || static_cast<std::uint32_t>(where.pipe) != from.pipe)
    return not_to.push_back({unroutable::wrong_pipe, of.what.entity});
  const auto is_there = [&](std::uint32_t pipe) {
    return pipe != from.pipe && pipe < of.seats.size() && of.seats[pipe].taken;
  };
  std::uint32_t other = 0;
  if (wanted && *wanted != from.pipe)
    other = *wanted;
  else if (is_there(of.main))
    other = of.main;
  else
    while (other < of.seats.size() && !is_there(other)) ++other;
  if (!is_there(other)) return not_to.push_back({unroutable::no_other, of.what.entity});
  to.push_back({from.slot, other});
}

void service_routes::route(service_address from, const service_route& head, std::uint64_t random,
                           std::vector<service_address>& to, std::vector<undelivered>& not_to) const {
  const outcome out{to, not_to};
  const auto version = head.to_set_version;
  if (const auto* one = std::get_if<to_entity>(&head.to)) return send_to(one->entity, version, out);
  if (const auto* any = std::get_if<to_any>(&head.to)) return send_to(*any, version, random, out);
  if (const auto* all = std::get_if<to_all>(&head.to)) return send_to(*all, version, from, out);
  if (const auto* each = std::get_if<to_entities>(&head.to)) return send_to(*each, version, out);
  if (const auto* other = std::get_if<to_other_instance>(&head.to)) return hand_on(from, *other, {}, to, not_to);
  not_to.push_back({unroutable::no_destination, head.from});
}

}  // namespace ferry::session
