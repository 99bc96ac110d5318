// The short way from one native ring into another one.
#include <algorithm>
#include <array>
#include <cstring>

#include "codec/native_message.hpp"
#include "codec/native_plain.hpp"
#include "sidecar/forwarder_lanes.hpp"

namespace ferry::sidecar {
namespace {

constexpr std::size_t k_short_head = 512;  // the largest that goes this way
constexpr std::size_t k_most_heads = 64;   // most are not larger

// Of so many bytes, for which nothing is called.
void copy_head(std::byte* to, const std::byte* from, std::size_t size) noexcept {
  if (size == k_most_heads) [[likely]]
    std::memcpy(to, from, k_most_heads);
  else
    std::memcpy(to, from, size);
}

std::optional<codec::sidecar::native_way> way_of(bytes head) noexcept {
  if (codec::sidecar::plain_head plain; plain.read(head, head.size()))
    return codec::sidecar::native_way{plain.from, plain.to, 0};
  return codec::sidecar::native_way_of(head);
}

}  // namespace

void forwarder::forget_ways() noexcept { std::fill(ways_.begin(), ways_.end(), way()); }

// Null: there is none, or not a short one.
const forwarder::way* forwarder::way_to(std::uint32_t entity, std::uint64_t set_version) {
  if (ways_are_of_ != routes_.version()) {
    forget_ways();
    ways_are_of_ = routes_.version();
  }
  auto& one = ways_[entity % k_ways];
  if (one.there != nullptr && one.entity == entity && one.set_version == set_version) return &one;
  to_.clear();
  not_to_.clear();
  routes_.route({}, {.to = to_entity{entity}, .to_set_version = set_version}, 0, to_, not_to_);
  if (to_.empty()) return nullptr;
  auto& there = lane_at(to_.front());
  auto* const out = there.files->native_to();
  if (out == nullptr || there.files->where() != pipe::state::read) return nullptr;
  one = {entity, set_version, &there, out};
  return &one;
}

// What most messages are: in one record, for one entity, from one native ring into another one that has room. The
// sender can change the ring while we read it: what is judged is the copy of the head, and that is what goes on. All
// else is left where it is, and goes the long way, which would do the same with these.
int forwarder::pass_on(lane& from, int most, std::uint64_t now_ms) {
  auto* const in = from.files->native_from();
  if (in == nullptr || from.waiting != nullptr || from.in_part) return 0;
  const auto own = routes_.entity(from.where.slot).entity;
  auto& counts = from.files->counts;
  int passed = 0;
  for (; passed < most; ++passed) {
    const auto what = in->short_front(now_ms);
    alignas(8) std::array<std::byte, k_short_head> copy;
    if (!what || what.head_bytes > copy.size()) break;
    // What is behind a small head is copied with it.
    const auto copied = std::max(what.head_bytes, std::min(what.whole.size(), k_most_heads));
    copy_head(copy.data(), what.whole.data(), copied);
    const auto said = way_of(bytes(copy).first(what.head_bytes));
    if (!said || (with_.check_source && said->from != own)) break;
    const auto* const to = way_to(said->to, said->to_set_version);
    std::byte* const room = to == nullptr ? nullptr : to->out->reserve(what.whole.size());
    if (room == nullptr) break;
    // From its end: the reader watches the line that its head begins on.
    const auto rest = what.whole.subspan(copied);
    if (!rest.empty()) std::memcpy(room + copied, rest.data(), rest.size());
    copy_head(room, copy.data(), copied);
    to->out->publish();
    in->take_short(what.time_ms, now_ms);
    in->pop();
    from.faults = 0;
    from.quiet_since = {};
    ++counts.received;
    counts.received_bytes += what.whole.size();
    to->there->is_full = false;
    ++to->there->files->counts.delivered;
    to->there->files->counts.delivered_bytes += what.whole.size();
    ++counts_.forwarded;
    ++counts_.passed_on;
  }
  return passed;
}

int forwarder::short_turn(std::uint64_t now_ms) {
  int passed = 0;
  for (auto* one : active_) {
    const auto* const in = one->files->native_from();
    if (in != nullptr && in->something()) passed += pass_on(*one, k_messages_a_turn, now_ms);
  }
  return passed;
}

}  // namespace ferry::sidecar
